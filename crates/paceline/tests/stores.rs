//! Stores, names, modes, configuration that changes, and closing.

mod common;

use std::io::Write;

use common::{GPT, Task, bucket, concurrency, left, limit, limiter, secs};
use paceline::config::{Compiled, CompiledLedger, CompiledResource, Config, UnknownResource};
use paceline::core::{Configuration, LimitSpec, ResourceSpec};
use paceline::provider::Profile;
use paceline::{Demand, Error, Event, GrantedVia, Limiter, ManualClock, Mode, Usage};

fn on(url: &str, limits: impl IntoIterator<Item = LimitSpec>) -> Result<Limiter, Error> {
    Limiter::builder().store(url).limits(limits, [ResourceSpec::new(GPT)]).build()
}

fn compiled(limits: Vec<LimitSpec>, names: &[&str], unknown: UnknownResource) -> Compiled {
    Compiled { ledgers: vec![ledger("default", limits, names)], unknown }
}

fn ledger(name: &str, limits: Vec<LimitSpec>, names: &[&str]) -> CompiledLedger {
    let resource = |name: &&str| CompiledResource {
        name: (*name).to_owned(),
        aliases: vec![format!("{name}-2024-*")],
        profile: Profile::plain(),
    };
    CompiledLedger {
        name: name.to_owned(),
        revision: 0,
        configuration: Configuration::new(limits, names.iter().map(|name| ResourceSpec::new(name))),
        resources: names.iter().map(resource).collect(),
        warn_at: Vec::new(),
    }
}

#[test]
fn equal_urls_are_one_store_and_private_ones_are_nobody_elses() {
    let limits = || [concurrency(1)];
    let one = on("memory://shared", limits()).unwrap();
    let other = on("MEMORY://Shared/", limits()).unwrap();
    let _permit = one.resource(GPT).unwrap().acquire(Demand::new()).wait().unwrap();
    assert!(other.resource(GPT).unwrap().try_acquire(Demand::new()).wait().is_err());

    let elsewhere = on("memory://elsewhere", limits()).unwrap();
    let _there = elsewhere.resource(GPT).unwrap().try_acquire(Demand::new()).wait().unwrap();
    let private = Limiter::builder().private().limits(limits(), [ResourceSpec::new(GPT)]).build().unwrap();
    let _here = private.resource(GPT).unwrap().try_acquire(Demand::new()).wait().unwrap();
}

#[test]
fn a_store_that_is_open_with_other_options_is_refused() {
    let _first = on("memory://options", []).unwrap();
    let refused = |builder: paceline::Builder| match builder.store("memory://options").build() {
        Err(Error::StoreConflict { option, .. }) => option,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Limiter::builder().lease(secs(1))), "lease");
    assert_eq!(refused(Limiter::builder().mode(Mode::Off)), "mode");
    assert_eq!(refused(Limiter::builder().clock(ManualClock::default())), "clock");
    for url in ["memory", "sqlite://x", "memory://a b", "memory://a/b"] {
        assert!(matches!(on(url, []), Err(Error::StoreUrl { .. })), "{url}");
    }
}

#[test]
fn names_have_aliases_and_a_wrong_one_is_told_the_nearest() {
    let compiled = compiled(vec![], &["openai/gpt-4o", "openai/o3"], UnknownResource::Refuse);
    let limiter = Limiter::builder().private().compiled(compiled).build().unwrap();
    assert_eq!(limiter.resource("openai/gpt-4o-2024-08-06").unwrap().name(), "openai/gpt-4o");
    for name in ["openai/gpt-4O", "openai/gpt4o", "gpt-4o"] {
        let error = limiter.resource(name).unwrap_err();
        let Error::UnknownResource { nearest: Some(nearest), .. } = &error else { panic!("{error}") };
        assert_eq!(nearest, "openai/gpt-4o");
        assert!(error.to_string().ends_with("did you mean openai/gpt-4o?"), "{error}");
    }
    assert!(matches!(limiter.resource("x/y").unwrap_err(), Error::UnknownResource { nearest: None, .. }));
}

#[test]
fn an_unknown_resource_is_allowed_or_limited_where_the_configuration_says_so() {
    let allowed = compiled(vec![], &[], UnknownResource::Allow);
    let limiter = Limiter::builder().private().compiled(allowed).build().unwrap();
    let permit = limiter.resource("any/thing").unwrap().acquire(Demand::new()).wait().unwrap();
    assert_eq!(permit.granted_via(), GrantedVia::Unlimited);
    let id = permit.detach();
    assert_eq!(id.to_string().parse(), Ok(id.clone()));
    assert_eq!(limiter.settle(&id, Usage::new()).wait().unwrap().returned("tokens"), 0);

    let mut limit = bucket("{name}/rpm", "requests", 1, 60_000);
    limit.members[0].resource = "{name}".into();
    let template = ledger("{name}", vec![limit], &["{name}"]);
    let defaulted = compiled(vec![], &[], UnknownResource::Default(template));
    let limiter = Limiter::builder().private().compiled(defaulted).build().unwrap();
    let one = limiter.resource("any/one").unwrap();
    let _permit = one.try_acquire(Demand::new()).wait().unwrap();
    assert!(limiter.resource("any/one").unwrap().try_acquire(Demand::new()).wait().is_err());
    let _other = limiter.resource("any/other").unwrap().try_acquire(Demand::new()).wait().unwrap();
    assert_eq!(&*one.snapshot().wait().unwrap().limits[0].name, "any/one/rpm");
}

#[test]
fn modes_shadow_and_off_let_everybody_go() {
    let build = |mode| {
        let limits = [bucket("tpm", "tokens", 100, 60_000)];
        let builder = Limiter::builder().private().mode(mode).clock(ManualClock::at(1));
        builder.limits(limits, [ResourceSpec::new(GPT)]).build().unwrap()
    };
    let shadow = build(Mode::Shadow).resource(GPT).unwrap();
    let permit = shadow.acquire(Demand::tokens(150)).wait().unwrap();
    permit.settle(Usage::tokens(130));
    assert_eq!(left(&shadow, "tpm"), -30);
    assert!(limit(&shadow, "tpm").shadow);

    let off = build(Mode::Off).resource("unheard/of").unwrap();
    assert_eq!(off.acquire(Demand::tokens(150)).wait().unwrap().granted_via(), GrantedVia::Off);
    assert_eq!("Shadow".parse::<Mode>().unwrap(), Mode::Shadow);
    assert!("on".parse::<Mode>().unwrap_err().to_string().contains("enforce, shadow or off"));
}

#[test]
fn a_configuration_changes_live_for_those_who_wait() {
    let (limiter, clock) = limiter([bucket("tpm", "tokens", 100, 60_000)]);
    let resource = limiter.resource(GPT).unwrap();
    let _permit = resource.acquire(Demand::tokens(100)).wait().unwrap();
    let mut waits = Task::waiting(resource.acquire(Demand::tokens(50)));
    let larger = compiled(vec![bucket("tpm", "tokens", 200, 60_000)], &[GPT], UnknownResource::Refuse);
    limiter.configure_compiled(&larger).unwrap();
    assert_eq!(waits.woken(), 0, "a larger burst is earned, not given");
    clock.advance(secs(15));
    assert_eq!(waits.woken(), 1, "at twice the rate");
    waits.ready().unwrap().give_back();

    let wrong = compiled(vec![bucket("tpm", "tokens", 0, 60_000)], &[GPT], UnknownResource::Refuse);
    assert!(matches!(limiter.configure_compiled(&wrong), Err(Error::Spec(_))));
    assert_eq!(limit(&resource, "tpm").most, 200);
}

#[test]
fn a_resource_that_is_configured_no_longer_refuses_those_who_wait() {
    let (limiter, clock) = limiter([concurrency(1)]);
    let resource = limiter.resource(GPT).unwrap();
    let _permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut waits = Task::waiting(resource.acquire(Demand::new()));
    limiter.configure_compiled(&compiled(vec![], &["other"], UnknownResource::Refuse)).unwrap();
    clock.advance(secs(1));
    assert!(matches!(waits.ready(), Err(Error::UnknownResource { .. })));
    assert!(matches!(resource.acquire(Demand::new()).wait(), Err(Error::UnknownResource { .. })));
    assert!(limiter.resource(GPT).is_err());
    assert_eq!(limiter.resources(), [paceline::Name::from("other")]);
}

#[test]
fn a_file_is_read_again_when_it_changes_and_a_bad_edit_changes_nothing() {
    let directory = std::env::temp_dir().join(format!("paceline-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("limits.yaml");
    let write = |text: &str| std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    write("own:\n  provider: plain\n  model: {requests_per_minute: 5}\n");
    let clock = ManualClock::at(1_700_000_000_000);
    let config = Config::load(&path).unwrap();
    let limiter = Limiter::builder().private().clock(clock.clone()).config(config).build().unwrap();
    limiter.watch_file(&path);
    let mut events = limiter.events();
    let resource = limiter.resource("own/model").unwrap();
    let most = || resource.snapshot().wait().unwrap().limits[0].amount;
    assert_eq!(most(), 5);

    write("own:\n  provider: plain\n  model: {requests_per_minute: 500}\n");
    clock.advance(secs(1));
    assert_eq!(most(), 500);
    assert!(matches!(events.try_next(), Some(Event::Configured)));

    write("own:\n  provider: plain\n  model: {requests_per_minit: 7}\n");
    clock.advance(secs(1));
    let Some(Event::ConfigurationRefused { error }) = events.try_next() else { panic!() };
    assert!(error.to_string().contains("requests_per_minit"), "{error}");
    assert_eq!(most(), 500);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn closing_refuses_who_waits_and_who_asks_and_keeps_permits() {
    let shared = "memory://closing";
    let (one, other) = (on(shared, [concurrency(1)]).unwrap(), on(shared, [concurrency(1)]).unwrap());
    let resource = one.resource(GPT).unwrap();
    let permit = resource.acquire(Demand::new()).wait().unwrap();
    let mut waits = Task::waiting(resource.acquire(Demand::new()));
    let mut neighbour = Task::waiting(other.resource(GPT).unwrap().acquire(Demand::new()));
    let mut events = one.events();
    one.close();
    assert!(matches!(waits.ready(), Err(Error::Closed)));
    assert!(matches!(resource.acquire(Demand::new()).wait(), Err(Error::Closed)));
    assert!(matches!(one.resource(GPT), Err(Error::Closed)));
    assert_eq!(neighbour.woken(), 0);
    permit.settle(Usage::new()).wait().unwrap();
    neighbour.ready().unwrap().give_back();
    while events.try_next().is_some() {}
    assert!(events.blocking().next().is_none());
}
