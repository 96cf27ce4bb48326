//! What lints cannot say of the source: that files and functions stay short, that modules say what they are, and that
//! the core knows no clock.

use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::Visit;

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 80;

/// Names that say nothing of what a thing is or does.
const EMPTY_NAMES: [&str; 5] = ["Manager", "Helper", "Util", "Impl", "Base"];
const EMPTY_BEGINNINGS: [&str; 2] = ["process_", "handle_"];

/// What the core must not know.
const IMPURE: [&str; 6] = ["std::", "Instant", "SystemTime", "rand::", "async ", "HashMap"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') && !name.starts_with("mutants") {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["crates", "benches", "examples"] {
        sources(&root.join(folder), &mut found);
    }
    found.sort();
    assert!(found.len() > 20, "the sources are where they are looked for");
    let name = |path: &Path| path.strip_prefix(&root).unwrap_or(path).display().to_string();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap_or_default())).collect()
}

#[derive(Default)]
struct Items {
    functions: Vec<(String, usize)>,
    names: Vec<String>,
}

impl<'ast> Visit<'ast> for Items {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, item.block.span());
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, item.block.span());
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.names.push(item.ident.to_string());
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.names.push(item.ident.to_string());
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.names.push(item.ident.to_string());
    }
}

impl Items {
    fn function(&mut self, name: &syn::Ident, block: proc_macro2::Span) {
        self.functions.push((name.to_string(), block.end().line - block.start().line + 1));
    }

    fn of(name: &str, text: &str) -> Self {
        let mut items = Self::default();
        match syn::parse_file(text) {
            Ok(file) => items.visit_file(&file),
            Err(error) => println!("{name} is passed over: {error}"),
        }
        items
    }
}

fn report(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[test]
fn modules_say_what_they_are() {
    let silent = |(_, text): &&(String, String)| {
        !text.lines().find(|line| !line.starts_with("#!")).is_some_and(|line| line.starts_with("//!"))
    };
    let faults: Vec<_> = all_sources().iter().filter(silent).map(|(name, _)| name.clone()).collect();
    report("these files do not begin with what they are", &faults);
}

#[test]
fn files_and_functions_are_short() {
    let mut faults = Vec::new();
    let mut files = Vec::new();
    let mut functions = Vec::new();
    for (name, text) in all_sources() {
        files.push((text.lines().count(), name.clone()));
        let items = Items::of(&name, &text);
        functions.extend(
            items.functions.into_iter().map(|(function, lines)| (lines, format!("{name} {function}"))),
        );
    }
    files.sort_unstable_by(|a, b| b.cmp(a));
    functions.sort_unstable_by(|a, b| b.cmp(a));
    for (what, longest, bound) in [("file", &files, FILE_LINES), ("function", &functions, FUNCTION_LINES)] {
        let median = longest.get(longest.len() / 2).map_or(0, |(lines, _)| *lines);
        println!("{} {what}s, median {median} lines, the longest:", longest.len());
        longest.iter().take(5).for_each(|(lines, name)| println!("  {lines:4} {name}"));
        faults.extend(
            longest
                .iter()
                .filter(|(lines, _)| *lines > bound)
                .map(|(lines, name)| format!("{name}: {lines} lines, at most {bound}")),
        );
    }
    report("too long", &faults);
}

#[test]
fn names_say_what_things_are() {
    let mut faults = Vec::new();
    for (name, text) in all_sources() {
        let items = Items::of(&name, &text);
        let functions = items.functions.into_iter().map(|(function, _)| function);
        let types =
            items.names.into_iter().filter(|item| EMPTY_NAMES.iter().any(|empty| item.ends_with(empty)));
        let functions =
            functions.filter(|function| EMPTY_BEGINNINGS.iter().any(|empty| function.starts_with(empty)));
        faults.extend(types.chain(functions).map(|item| format!("{name}: {item}")));
    }
    report("these names are empty", &faults);
}

#[test]
fn the_core_knows_no_clock() {
    let mut faults = Vec::new();
    for (name, text) in all_sources().iter().filter(|(name, _)| name.starts_with("crates/paceline-core/src"))
    {
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        for (at, line) in code {
            faults.extend(
                IMPURE
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{name}:{}: {word}", at + 1)),
            );
        }
    }
    report("the core must stay pure", &faults);
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["unimplement", "ed!"].concat()];
    let mut faults = Vec::new();
    for (name, text) in all_sources() {
        for (at, line) in text.lines().enumerate() {
            faults.extend(
                marks
                    .iter()
                    .filter(|mark| line.contains(*mark))
                    .map(|mark| format!("{name}:{}: {mark}", at + 1)),
            );
        }
    }
    report("unfinished", &faults);
}
