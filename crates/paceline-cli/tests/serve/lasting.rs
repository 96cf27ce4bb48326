//! What has to outlive a server that is killed: pauses, configuration, keys and debts, once they are acknowledged.

use hyper::Method;
use serde_json::{Value, json};

use crate::kit::{Dice, Http, limit};

/// How much the limit in debt has a day, and how far its mark runs ahead.
const AMOUNT: u64 = 1_000;
const STEP: u64 = 12;

/// What was acknowledged, and what may have been done beyond that.
#[derive(Debug, Default)]
pub(crate) struct Lasting {
    paused: bool,
    pausing: Option<bool>,
    requests: u64,
    putting: Option<u64>,
    /// Keys by name and secret.
    keys: Vec<(String, String)>,
    revoked: Vec<(String, String)>,
    revoking: bool,
    debt: u64,
    /// What was not acknowledged.
    owed: u64,
    number: u64,
    /// How often something was acknowledged.
    pub(crate) done: u64,
}

/// The connection was lost: whether it was done nobody knows.
struct Lost;

impl Lasting {
    /// Makes what is changed later.
    pub(crate) async fn begin(http: &Http) -> Self {
        let one = Self { requests: 1, ..Self::default() };
        for (name, body) in [
            ("paused", json!({"requests_per_minute": 1})),
            ("changing", json!({"requests_per_minute": 1})),
            ("debt", json!({"requests_per_day": AMOUNT})),
        ] {
            http.done(Method::PUT, &format!("/v1/resources/{name}"), &body).await;
        }
        one
    }

    /// Changes one thing after another until the server is gone.
    pub(crate) async fn change(mut self, http: Http, mut dice: Dice) -> Self {
        while self.once(&http, dice.below(5)).await.is_ok() {
            self.done += 1;
            dice.pause(20).await;
        }
        self
    }

    async fn once(&mut self, http: &Http, what: u64) -> Result<(), Lost> {
        self.number += 1;
        match what {
            0 => {
                let paused = !self.paused;
                self.pausing = Some(paused);
                let (way, body) =
                    if paused { ("pause", json!({"reason": "a test"})) } else { ("resume", json!({})) };
                send(http, Method::POST, &format!("/v1/resources/paused/{way}"), &body).await?;
                (self.paused, self.pausing) = (paused, None);
            }
            1 => {
                self.putting = Some(self.number);
                let body = json!({"requests_per_minute": self.number});
                send(http, Method::PUT, "/v1/resources/changing", &body).await?;
                (self.requests, self.putting) = (self.number, None);
            }
            2 => {
                let name = format!("key-{}", self.number);
                let made =
                    send(http, Method::POST, "/v1/keys", &json!({"name": name, "scopes": ["read"]})).await?;
                self.keys.push((name, made["secret"].as_str().unwrap().to_owned()));
            }
            3 => {
                let Some(key) = self.keys.first().cloned() else { return Ok(()) };
                self.revoking = true;
                send(http, Method::DELETE, &format!("/v1/keys/{}", key.0), &Value::Null).await?;
                self.revoking = false;
                self.revoked.push(key);
                self.keys.remove(0);
            }
            _ => {
                self.owed += 40;
                send(http, Method::POST, "/v1/record", &json!({"resource": "debt", "requests": 40})).await?;
                (self.debt, self.owed) = (self.debt + 40, self.owed - 40);
            }
        }
        Ok(())
    }

    /// Looks, after so many kills, whether all of it is there.
    pub(crate) async fn look(&mut self, http: &Http, kills: u64) {
        let paused = http.done(Method::GET, "/v1/resources/paused", &Value::Null).await["paused"].clone();
        let paused = paused.as_bool().unwrap();
        assert!(paused == self.paused || Some(paused) == self.pausing, "paused is {paused}: {self:?}");
        (self.paused, self.pausing) = (paused, None);

        let shown = http.done(Method::GET, "/v1/resources/changing", &Value::Null).await;
        let requests = shown["configuration"]["requests_per_minute"].as_u64().unwrap();
        assert!(requests == self.requests || Some(requests) == self.putting, "{requests}: {self:?}");
        assert_eq!(limit(&shown, "requests")["amount"], requests, "kept and in force");
        (self.requests, self.putting) = (requests, None);

        let may_be_gone = usize::from(std::mem::take(&mut self.revoking));
        for (at, (name, secret)) in self.keys.iter().enumerate() {
            let status = http.with_key(secret).get("/v1/lanes").await.unwrap().status;
            assert!(status == 200 || (status == 401 && at < may_be_gone), "{name}: {status}");
        }
        for (name, secret) in &self.revoked {
            assert_eq!(
                http.with_key(secret).get("/v1/lanes").await.unwrap().status,
                401,
                "{name} was revoked"
            );
        }
        self.keys.drain(..may_be_gone);
        // Whose key is out stays out; a few of them are enough.
        self.revoked.truncate(10);

        let shown = http.done(Method::GET, "/v1/resources/debt", &Value::Null).await;
        let left = limit(&shown, "requests")["left"].as_i64().unwrap();
        let spent = i64::try_from(AMOUNT).unwrap() - left;
        let (least, most) = (self.debt, self.debt + self.owed + kills * STEP);
        // One comes back in a minute and a half.
        let least = i64::try_from(least).unwrap() - 10;
        assert!(spent >= least, "{spent} is owed where {} was acknowledged", self.debt);
        assert!(spent <= i64::try_from(most).unwrap(), "{spent} is owed, and at most {most} was spent");
    }
}

async fn send(http: &Http, method: Method, path: &str, body: &Value) -> Result<Value, Lost> {
    let answer = http.send(method, path, body).await.map_err(|_| Lost)?;
    assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
    Ok(answer.body)
}
