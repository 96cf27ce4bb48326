//! What a forked child may do, as its host's fork hook tells. Alone in its process, which it calls a child.

mod common;

use common::{GPT, concurrency};
use paceline::core::ResourceSpec;
use paceline::{Demand, Error, Limiter};

#[test]
fn a_forked_child_inherits_nothing_and_may_begin_anew() {
    let build = || Limiter::builder().limits([concurrency(1)], [ResourceSpec::new(GPT)]).build().unwrap();
    let inherited = build();
    let resource = inherited.resource(GPT).unwrap();
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    paceline::forked();
    let error = resource.acquire(Demand::new()).wait().unwrap_err();
    assert!(matches!(error, Error::Forked) && error.to_string().contains("build the limiter in the child"));
    assert!(matches!(resource.try_acquire(Demand::new()).wait(), Err(Error::Forked)));
    drop(permit);

    let own = build().resource(GPT).unwrap();
    own.acquire(Demand::new()).wait().unwrap().give_back().wait().unwrap();
}
