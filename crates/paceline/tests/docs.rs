//! Every configuration that the documentation shows can be read and compiled.

use paceline::config::Config;

const NOW: u64 = 1_790_000_000_000;

const PAGES: [(&str, &str); 2] = [
    ("README.md", include_str!("../../../README.md")),
    ("docs/configuration.md", include_str!("../../../docs/configuration.md")),
];

fn snippets(page: &str) -> impl Iterator<Item = &str> {
    page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

#[test]
fn configurations_in_the_documentation_compile() {
    for (name, page) in PAGES {
        assert!(snippets(page).count() > 0, "{name} shows a configuration");
        for snippet in snippets(page) {
            let config = Config::parse(name, snippet).unwrap_or_else(|error| panic!("{error}"));
            let compiled = config.compile(NOW).unwrap_or_else(|error| panic!("{error}"));
            assert!(!compiled.ledgers.is_empty(), "{snippet}");
        }
    }
}

#[test]
fn links_in_the_readme_lead_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (_, page) in PAGES.iter().take(1) {
        let links = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            assert!(root.join(link).exists(), "{link}");
        }
    }
}
