//! Stores that are open in this process: equal URLs are one.

use std::sync::Arc;

use super::link::{Origin, RedisLink};
use super::url::Address;
use crate::Error;
use crate::outage::Sharing;
use crate::store::shared::registry::Registry;
use crate::store::shared::timing::Timing;
use crate::store::{Options, Store, refused};

/// Opens the store that a URL names.
pub(crate) fn open(url: &str, options: Options) -> Result<Arc<Store>, Error> {
    let address = Address::parse(url).map_err(|reason| refused(url, reason))?;
    keep(Origin::Url(Box::new(address)), options)
}

/// Opens the store that a client of the program connects to.
pub(crate) fn open_client(client: ::redis::Client, options: Options) -> Result<Arc<Store>, Error> {
    keep(Origin::Client(Box::new(client)), options)
}

/// Makes a link of its own to the store that a URL names, to look at its ledgers.
pub(crate) fn link_to(url: &str, key_prefix: &str) -> Result<Arc<RedisLink>, Error> {
    let address = Address::parse(url).map_err(|reason| refused(url, reason))?;
    let origin = Origin::Url(Box::new(address));
    let url = origin.url();
    let timing = Timing::within(Sharing::default().store_timeout);
    super::make(origin, key_prefix, timing).map_err(|reason| Error::StoreUrl { url, reason })
}

fn keep(origin: Origin, options: Options) -> Result<Arc<Store>, Error> {
    static STORES: Registry<Origin> = Registry::new();
    STORES.open(origin.url(), origin, options, Origin::differs, |origin, options| {
        let timing = Timing::within(options.sharing.store_timeout);
        super::make(origin.clone(), &options.sharing.key_prefix, timing)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Error, Limiter};

    fn build(url: &str, session_seconds: u64, prefix: &str) -> Result<Limiter, Error> {
        let session = Duration::from_secs(session_seconds);
        Limiter::builder().store(url).session_timeout(session).key_prefix(prefix).build()
    }

    #[test]
    fn equal_urls_are_one_store_and_differing_options_are_refused() {
        let url = "redis://:geheim@open-test.invalid/1";
        build(url, 10, "a:").unwrap();
        build("REDIS://:geheim@OPEN-test.invalid:6379?db=1", 10, "a:").unwrap();
        build(url, 20, "b:").unwrap();
        for (url, seconds, expected) in
            [(url, 20, "session_timeout"), ("redis://:anderes@open-test.invalid/1", 10, "password")]
        {
            let error = build(url, seconds, "a:").unwrap_err();
            assert!(matches!(error, Error::StoreConflict { option, .. } if option == expected), "{error}");
            assert!(
                !error.to_string().contains("geheim") && !error.to_string().contains("anderes"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_url_or_a_prefix_that_cannot_be_is_refused_without_its_secrets() {
        for url in [
            "redis://:geheim@h/x",
            "reddis://:geheim@h",
            "redis://:geheim",
            ":geheim@h",
            "redis://h?pass=geheim",
        ] {
            let error = build(url, 10, "a:").unwrap_err();
            assert!(matches!(error, Error::StoreUrl { .. }), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
        }
        assert!(matches!(build("redis://h", 10, "a{"), Err(Error::StoreUrl { .. })));
        let builder = format!("{:?}", Limiter::builder().store("redis://:geheim@h"));
        assert!(!builder.contains("geheim"), "{builder}");
    }

    #[test]
    fn a_client_of_the_program_makes_a_store() {
        let client = ::redis::Client::open("redis://:geheim@client-test.invalid").unwrap();
        let builder = crate::redis::from_client(client);
        assert!(!format!("{builder:?}").contains("geheim"));
        builder.build().unwrap();
    }
}
