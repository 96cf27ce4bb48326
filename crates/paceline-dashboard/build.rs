//! Builds the dashboard by npm, and writes down what came of it. Without Node.js, or where npm fails, the crate is built
//! all the same, with a page that says what is missing.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the dashboard is built from.
const SOURCES: [&str; 5] = [".npmrc", "build.mjs", "package.json", "package-lock.json", "src"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=PACELINE_DASHBOARD");
    println!("cargo::rerun-if-changed=build.rs");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", sources.join(source).display());
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    let off = std::env::var_os("PACELINE_DASHBOARD").is_some_and(|said| said == "off");
    let built =
        if off { Err("it was left out by PACELINE_DASHBOARD=off".to_owned()) } else { build(&sources, &out) };
    let text = match built {
        Ok(dist) => listed(&dist)?,
        Err(why) => {
            if !off {
                println!("cargo::warning=the web dashboard is not built: {why}");
            }
            excused(&out, &why)?
        }
    };
    fs::write(out.join("files.rs"), text)?;
    Ok(())
}

/// Builds in a copy, so that the sources may be read-only, and returns where the result is.
fn build(sources: &Path, out: &Path) -> Result<PathBuf, String> {
    let (work, failed) = (out.join("web"), |error: std::io::Error| error.to_string());
    let installed = work.join("node_modules/.package-lock.json");
    let lock = fs::read(sources.join("package-lock.json")).map_err(failed)?;
    let is_installed =
        installed.exists() && fs::read(work.join("package-lock.json")).is_ok_and(|had| had == lock);
    fs::create_dir_all(&work).map_err(failed)?;
    // What was taken out of the sources must not be found.
    let _ = fs::remove_dir_all(work.join("src"));
    for source in SOURCES {
        copy(&sources.join(source), &work.join(source)).map_err(failed)?;
    }
    if !is_installed {
        let install = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
        run("npm", &install, &work)?;
    }
    run("node", &["build.mjs"], &work)?;
    Ok(work.join("dist"))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return fs::write(to, fs::read(from)?);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn run(program: &str, arguments: &[&str], within: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    // One retry: a machine without a network should not wait for minutes.
    command.args(arguments).current_dir(within).env("npm_config_fetch_retries", "1");
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{program} is not there; install Node.js 20 or later"),
        _ => format!("{program}: {error}"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).take(6).collect();
    Err(format!("`{program} {}` failed: {}", arguments.first().unwrap_or(&""), said.join(" | ")))
}

/// Writes what is there as Rust.
fn listed(dist: &Path) -> Result<String, Box<dyn Error>> {
    let mut text = format!("static PAGE: File = {};\n", entry(&dist.join("index.html"), "")?);
    text.push_str("static ASSETS: &[File] = &[\n");
    let mut names: Vec<String> = fs::read_dir(dist.join("assets"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    names.retain(|name| {
        !matches!(Path::new(name).extension().and_then(|end| end.to_str()), Some("br" | "gz"))
    });
    names.sort();
    for name in names {
        writeln!(text, "    {},", entry(&dist.join("assets").join(&name), &name)?)?;
    }
    text.push_str("];\nstatic MISSING: Option<&str> = None;\n");
    Ok(text)
}

fn entry(path: &Path, name: &str) -> Result<String, Box<dyn Error>> {
    let mut hasher = DefaultHasher::new();
    fs::read(path)?.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let kind = match path.extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let included = |path: &Path| format!("include_bytes!({:?})", path.display().to_string());
    let other = |end: &str| {
        let path = PathBuf::from(format!("{}.{end}", path.display()));
        if path.exists() { format!("Some({})", included(&path)) } else { "None".to_owned() }
    };
    let (plain, brotli, gzip, is_hashed) = (included(path), other("br"), other("gz"), !name.is_empty());
    Ok(format!(
        "File {{ name: {name:?}, kind: {kind:?}, tag: {tag:?}, is_hashed: {is_hashed}, plain: {plain}, brotli: {brotli}, gzip: {gzip} }}"
    ))
}

/// Writes a page that says why there is no other.
fn excused(out: &Path, why: &str) -> Result<String, Box<dyn Error>> {
    let plain = why.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let page = out.join("missing.html");
    fs::write(
        &page,
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Paceline</title>\n\
             <h1>Paceline runs; its dashboard was not built</h1>\n<p>{plain}.</p>\n\
             <p>Install Node.js 20 or later with npm, run <code>cargo clean -p paceline-dashboard</code>, and build \
             again.</p>\n<p>Everything else is there: <a href=\"/v1/snapshot\">what the limits are at</a>, \
             <a href=\"/metrics\">metrics</a>, <a href=\"/v1/openapi.json\">the API</a>.</p>\n</html>\n"
        ),
    )?;
    let page = entry(&page, "")?;
    Ok(format!(
        "static PAGE: File = {page};\nstatic ASSETS: &[File] = &[];\nstatic MISSING: Option<&str> = Some({why:?});\n"
    ))
}
