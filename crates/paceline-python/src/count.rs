//! Counts tokens with vocabularies that are embedded: never the network.

use bpe_openai::Tokenizer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

fn tokenizer(vocabulary: &str) -> PyResult<&'static Tokenizer> {
    match vocabulary {
        "o200k_base" => Ok(bpe_openai::o200k_base()),
        "cl100k_base" => Ok(bpe_openai::cl100k_base()),
        other => Err(PyValueError::new_err(format!(
            "there is no vocabulary {other}; o200k_base and cl100k_base are embedded"
        ))),
    }
}

/// Counts the tokens of a text; what looks like a special token is plain text.
#[pyfunction]
pub(crate) fn count_text(py: Python<'_>, vocabulary: &str, text: &str) -> PyResult<usize> {
    let tokenizer = tokenizer(vocabulary)?;
    // A short text is counted sooner than the interpreter is let go of.
    if text.len() < 4_096 { Ok(tokenizer.count(text)) } else { Ok(py.detach(|| tokenizer.count(text))) }
}

/// Counts the tokens of several texts together.
#[pyfunction]
pub(crate) fn count_texts(py: Python<'_>, vocabulary: &str, texts: Vec<String>) -> PyResult<usize> {
    let tokenizer = tokenizer(vocabulary)?;
    Ok(py.detach(|| texts.iter().map(|text| tokenizer.count(text.as_str())).sum()))
}
