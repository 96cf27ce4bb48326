//! A host as a store: limiters in this process share its ledgers.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Algorithm, LimitSpec, ResourceSpec};

use super::{Host, HostOptions};
use crate::builder::Builder;
use crate::link::{Link, LinkError};
use crate::{Demand, Limiter, Resource, Usage};

fn open(host: &Arc<Host>) -> (Limiter, Resource) {
    let link: Arc<dyn Link> = Arc::<Host>::clone(host);
    let limits = [
        LimitSpec::new("slots", "concurrent_requests", 1, Algorithm::Concurrency).member("m"),
        LimitSpec::new("tpd", "tokens", 1_000, Algorithm::TokenBucket { window: 86_400_000, burst: 1_000 })
            .member("m"),
    ];
    let builder: Builder = Limiter::builder().link(link);
    let limiter = builder.limits(limits, [ResourceSpec::new("m")]).build().unwrap();
    let resource = limiter.resource("m").unwrap();
    (limiter, resource)
}

#[test]
fn two_limiters_share_a_line() {
    let host = Host::new(HostOptions::default());
    let (_one, first) = open(&host);
    let (_two, second) = open(&host);
    let permit = first.acquire(Demand::tokens(400)).wait().unwrap();
    let waiter = std::thread::spawn(move || {
        second.acquire(Demand::tokens(500)).timeout(Duration::from_secs(20)).wait().unwrap()
    });
    permit.settle(Usage::tokens(100));
    let second = waiter.join().unwrap();
    drop(second);
    assert_eq!(host.ledgers().len(), 1);
}

#[test]
fn what_is_no_batch_is_refused_and_a_host_that_stops_says_so() {
    let host = Host::new(HostOptions::default());
    for bytes in [&b""[..], b"\x91\x01", b"\xdd\xff\xff\xff\xff", &[0xc1; 40]] {
        assert!(matches!(host.answer("l", bytes), Err(LinkError::Fatal(_))), "{bytes:?}");
    }
    assert!(host.ledgers().is_empty());
    host.close();
    assert_eq!(host.answer("l", b""), Err(LinkError::Retry("the server is stopping".to_owned())));
}
