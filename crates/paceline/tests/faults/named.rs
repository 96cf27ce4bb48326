//! The tests that the documents name exist.

use std::fs;
use std::path::Path;

/// Where the tests of a module are.
const FOLDERS: [&str; 3] = ["tests/faults", "src/store/shared/tests", "../paceline-sim/tests"];

#[test]
fn documents_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for document in ["failures.md", "exactly-once.md"] {
        let text = fs::read_to_string(root.join("../../docs").join(document)).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        let tests = quoted.filter(|part| part.contains("::") && part.starts_with(char::is_lowercase));
        for name in tests {
            let (module, test) = name.split_once("::").unwrap();
            let files = FOLDERS.map(|folder| root.join(folder).join(format!("{module}.rs")));
            let defined = format!("fn {test}(");
            let found = files.iter().filter_map(|file| fs::read_to_string(file).ok());
            assert!(found.into_iter().any(|source| source.contains(&defined)), "{document} names {name}");
            named += 1;
        }
    }
    assert!(named > 40, "{named} tests are named");
}
