// The names of the API's types, as its description has them.
import type { components } from "../build/api.d.ts";

type Schemas = components["schemas"];
export type Watched = Schemas["Watched"];
export type WatchEvent = Schemas["Watch"];
export type Limit = Schemas["Limit"];
export type Lane = Schemas["Lane"];
export type HeldUp = Schemas["HeldUp"];
export type History = Schemas["History"];
export type Permit = Schemas["Permit"];
export type Explained = Schemas["Explained"];
export type Key = Schemas["KeyInfo"];
export type CreatedKey = Schemas["CreatedKey"];
export type Problem = Schemas["Problem"];
export type Scope = Schemas["Scope"];
