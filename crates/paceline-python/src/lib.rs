//! The native part of the Python package: glue between Python's ways of waiting and the library.

mod acquire;
mod amounts;
mod blocks;
mod clock;
mod count;
mod current;
mod drive;
mod ending;
mod errors;
mod events;
mod limiter;
mod logging;
mod lookup;
mod options;
mod park;
mod permit;
mod process;
mod reply;
mod seat;
mod specs;
mod views;
mod wake;
mod wish;

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command line, and returns its exit code.
#[pyfunction]
fn run_command(py: Python<'_>, program: Vec<OsString>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| paceline_cli::run(program, arguments))
}

/// Begins anew in a forked child, where what was inherited refuses at once.
#[pyfunction]
fn forked() {
    blocks::forked();
    logging::forked();
    ending::forked();
    paceline::forked();
}

#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    logging::install();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<limiter::Limiter>()?;
    module.add_class::<acquire::Acquire>()?;
    module.add_class::<permit::Permit>()?;
    module.add_class::<reply::Reply>()?;
    module.add_class::<events::Events>()?;
    module.add_class::<clock::ManualClock>()?;
    module.add_function(wrap_pyfunction!(count::count_text, module)?)?;
    module.add_function(wrap_pyfunction!(count::count_texts, module)?)?;
    module.add_function(wrap_pyfunction!(current::keep_current, module)?)?;
    module.add_function(wrap_pyfunction!(specs::limiter_of_specs, module)?)?;
    module.add_function(wrap_pyfunction!(run_command, module)?)?;
    module.add_function(wrap_pyfunction!(ending::end, module)?)?;
    module.add_function(wrap_pyfunction!(forked, module)?)?;
    Ok(())
}
