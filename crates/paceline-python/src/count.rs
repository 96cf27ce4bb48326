//! Counts tokens with vocabularies that are embedded: never the network.

use std::sync::LazyLock;

use bpe_openai::Tokenizer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rustc_hash::FxHashSet;

/// A vocabulary, and its tokens by their bytes: most pieces of a text are one token, and need no merging.
struct Vocabulary {
    tokenizer: &'static Tokenizer,
    whole: FxHashSet<&'static [u8]>,
}

static O200K: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::new(bpe_openai::o200k_base()));
static CL100K: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::new(bpe_openai::cl100k_base()));

impl Vocabulary {
    fn new(tokenizer: &'static Tokenizer) -> Self {
        let tokens = u32::try_from(tokenizer.bpe.num_tokens()).unwrap_or(u32::MAX);
        Self { tokenizer, whole: (0..tokens).map(|token| tokenizer.bpe.token_bytes(token)).collect() }
    }

    fn count(&self, text: &str) -> usize {
        let piece = |piece: &str| {
            if self.whole.contains(piece.as_bytes()) { 1 } else { self.tokenizer.bpe.count(piece.as_bytes()) }
        };
        self.tokenizer.split(text).map(piece).sum()
    }
}

fn vocabulary(name: &str) -> PyResult<&'static Vocabulary> {
    match name {
        "o200k_base" => Ok(&O200K),
        "cl100k_base" => Ok(&CL100K),
        other => Err(PyValueError::new_err(format!(
            "there is no vocabulary {other}; o200k_base and cl100k_base are embedded"
        ))),
    }
}

/// Counts the tokens of a text; what looks like a special token is plain text.
#[pyfunction]
pub(crate) fn count_text(py: Python<'_>, vocabulary: &str, text: &str) -> PyResult<usize> {
    let vocabulary = self::vocabulary(vocabulary)?;
    // A short text is counted sooner than the interpreter is let go of.
    if text.len() < 4_096 { Ok(vocabulary.count(text)) } else { Ok(py.detach(|| vocabulary.count(text))) }
}

/// Counts the tokens of several texts together.
#[pyfunction]
pub(crate) fn count_texts(py: Python<'_>, vocabulary: &str, texts: Vec<String>) -> PyResult<usize> {
    let vocabulary = self::vocabulary(vocabulary)?;
    Ok(py.detach(|| texts.iter().map(|text| vocabulary.count(text)).sum()))
}
