// Uses the server as a program in TypeScript would: by the types that its own description says.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./build/schema.js";

type Problem = components["schemas"]["Problem"];

const baseUrl = process.env.PACELINE_URL;
assert(baseUrl, "PACELINE_URL says where the server is");
const server = createClient<paths>({ baseUrl });
const resource = "typescript/check";

function told<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

// A resource of one call at a time, and 1,000 tokens an hour.
told(
  await server.PUT("/v1/resources/{name}", {
    params: { path: { name: resource } },
    body: { concurrent_requests: 1, tokens_per_hour: 1000 },
  }),
);

const first = told(await server.POST("/v1/acquire", { body: { resource, tokens: 400 } }));
assert.equal(first.status, "granted");
assert("permit" in first);

// The second waits, and keeps its place though nobody is connected.
const second = told(await server.POST("/v1/acquire", { body: { resource, tokens: 100, wait_seconds: 0 } }));
assert.equal(second.status, "waiting");
assert("ticket" in second && second.ahead === 0);

const settled = told(
  await server.POST("/v1/permits/{permit}/settle", {
    params: { path: { permit: first.permit } },
    body: { tokens: 150 },
  }),
);
assert.equal(settled.returned["tokens"], 250);

const polled = told(
  await server.GET("/v1/tickets/{ticket}", { params: { path: { ticket: second.ticket }, query: { wait_seconds: 10 } } }),
);
assert.equal(polled.status, "granted");
assert("permit" in polled && polled.permit === second.ticket);
told(await server.POST("/v1/permits/{permit}/give-back", { params: { path: { permit: polled.permit } } }));

// What cannot be is a problem with the facts as fields.
const never = await server.POST("/v1/acquire", { body: { resource, tokens: 5000 } });
assert.equal(never.response.status, 422);
const problem = never.error as Problem;
assert.deepEqual([problem.wanted, problem.most], [5000, 1000]);

const seen = told(await server.GET("/v1/resources/{name}", { params: { path: { name: resource } } }));
assert.deepEqual([seen.in_flight, seen.waiting], [0, 0]);
const gone = await server.DELETE("/v1/resources/{name}", { params: { path: { name: resource } } });
assert.equal(gone.response.status, 204);
console.log("the client of the description works");
