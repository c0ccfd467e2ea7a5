//! The SASL side of one connection: which mechanism, which step, and the credentials at its end.

use std::fmt;
use std::sync::Arc;

use mupdate_core::server::{AuthReply, AuthStep};
use rsasl::callback::{Context, SessionCallback, SessionData};
use rsasl::config::SASLConfig;
use rsasl::mechanisms::{login::LOGIN, plain::PLAIN};
use rsasl::mechname::Mechname;
use rsasl::prelude::{Mechanism, Registry, SASLError, SASLServer, Session, SessionError, State};
use rsasl::property::{AuthId, AuthzId, Password};
use rsasl::validate::{Validate, Validation, ValidationError};
use tracing::warn;
use zeroize::Zeroizing;

use super::{Authenticator, Credentials, FAILED, OTHER_USER, TlsFacts, Transport, rejected, shown};
use crate::{scram, users};

/// The mechanisms of this version, in the order of the banner.
pub(super) const MECHANISMS: &[&str] = &["PLAIN", "LOGIN"];

static REGISTRY: [Mechanism; 2] = [PLAIN, LOGIN];

/// What comes of a step.
#[derive(Debug)]
pub enum LoginStep {
    /// The peer is to be answered this.
    Reply(AuthReply),
    /// The exchange is complete: give these to [`Authenticator::check`].
    Verify(Credentials),
    /// The peer has cancelled; nothing is to be answered.
    Cancelled,
}

/// The SASL exchanges of one connection, one after the other.
pub struct Login {
    authenticator: Arc<Authenticator>,
    transport: Transport,
    peer: Arc<str>,
    /// Of the exchange that is under way, or was the last.
    mechanism: &'static str,
    exchange: Option<Session<Collected>>,
}

/// What rsasl's callback hands out: it collects, and does not judge.
struct Collected;

struct Claim {
    acting_as: Option<String>,
    user: String,
    password: Zeroizing<Vec<u8>>,
}

impl Validation for Collected {
    type Value = Claim;
}

struct Collect;

impl SessionCallback for Collect {
    fn validate(
        &self,
        _session: &SessionData,
        context: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let (Some(user), Some(password)) = (context.get_ref::<AuthId>(), context.get_ref::<Password>())
        else {
            return Ok(());
        };
        let claim = || Claim {
            acting_as: context.get_ref::<AuthzId>().map(str::to_owned),
            user: user.to_owned(),
            password: Zeroizing::new(password.to_vec()),
        };
        validate.with::<Collected, _>(|| Ok(claim())).map(drop)
    }
}

pub(super) fn sasl_config() -> Result<Arc<SASLConfig>, SASLError> {
    SASLConfig::builder().with_registry(Registry::with_mechanisms(&REGISTRY)).with_callback(Collect)
}

impl Login {
    pub(super) fn new(authenticator: Arc<Authenticator>, transport: Transport, peer: Arc<str>) -> Self {
        Self { authenticator, transport, peer, mechanism: "", exchange: None }
    }

    /// The mechanisms offered on this connection now, for the banner.
    pub fn mechanisms(&self) -> Vec<String> {
        self.authenticator.mechanisms(&self.transport)
    }

    /// The connection is encrypted from now on. What was begun before counts no more.
    pub fn encrypted(&mut self, facts: Arc<TlsFacts>) {
        self.transport.tls = Some(facts);
        self.exchange = None;
    }

    /// Takes a step of an exchange; quick, and never waits.
    pub fn step(&mut self, step: AuthStep) -> LoginStep {
        match step {
            AuthStep::Start { mechanism, initial } => self.start(&mechanism, initial.map(Zeroizing::new)),
            AuthStep::Continue(response) => match self.exchange.take() {
                Some(exchange) => self.advance(exchange, Some(&Zeroizing::new(response))),
                None => LoginStep::Reply(rejected("no authentication is under way")),
            },
            AuthStep::Cancel => {
                self.exchange = None;
                LoginStep::Cancelled
            }
        }
    }

    fn start(&mut self, mechanism: &str, initial: Option<Zeroizing<Vec<u8>>>) -> LoginStep {
        self.exchange = None;
        let Some(name) = MECHANISMS.iter().find(|name| name.eq_ignore_ascii_case(mechanism)) else {
            return LoginStep::Reply(rejected("mechanism not available"));
        };
        if !self.authenticator.passwords_allowed(&self.transport) {
            warn!(peer = %self.peer, mechanism = name, "login refused: passwords need TLS, loopback or allow_plaintext");
            let text = format!("{name} needs TLS or a loopback connection here (allow_plaintext)");
            return LoginStep::Reply(rejected(&text));
        }
        let server = SASLServer::<Collected>::new(Arc::clone(&self.authenticator.sasl));
        let started =
            Mechname::parse(name.as_bytes()).ok().and_then(|name| server.start_suggested(name).ok());
        let Some(exchange) = started else {
            return LoginStep::Reply(rejected("mechanism not available"));
        };
        self.mechanism = name;
        let step = if exchange.are_we_first() {
            self.advance(exchange, None)
        } else {
            // PLAIN is begun by the peer: an empty challenge invites it.
            self.exchange = Some(exchange);
            LoginStep::Reply(AuthReply::Challenge(Vec::new()))
        };
        // An initial response answers this first challenge, which then need not be sent.
        match (initial, self.exchange.take()) {
            (Some(initial), Some(exchange)) => self.advance(exchange, Some(&initial)),
            (_, exchange) => {
                self.exchange = exchange;
                step
            }
        }
    }

    fn advance(&mut self, mut exchange: Session<Collected>, response: Option<&[u8]>) -> LoginStep {
        let mut challenge = Vec::new();
        match exchange.step(response, &mut challenge) {
            Ok(State::Running) => {
                self.exchange = Some(exchange);
                LoginStep::Reply(AuthReply::Challenge(challenge))
            }
            Ok(State::Finished(_)) => self.claimed(exchange.validation()),
            Err(error) => {
                self.warn("", &reason(&error));
                LoginStep::Reply(rejected("malformed SASL response"))
            }
        }
    }

    /// Makes credentials of what the peer claims, in the form in which names and passwords are kept.
    fn claimed(&self, claim: Option<Claim>) -> LoginStep {
        let refuse = |user: &str, reason: &str, text: &str| {
            self.warn(user, reason);
            LoginStep::Reply(rejected(text))
        };
        let Some(Claim { acting_as, user, password }) = claim else {
            return refuse("", "the mechanism gave no user and password", FAILED);
        };
        let (name, password) = match (users::user_name(&user), scram::prepare(&password)) {
            (Ok(name), Ok(password)) => (name, password),
            (Err(reason), _) | (_, Err(reason)) => return refuse(&user, reason, FAILED),
        };
        match acting_as.as_deref().filter(|other| !other.is_empty()) {
            Some(other) if users::user_name(other).ok().as_ref() != Some(&name) => {
                refuse(&user, "wants to act as another user", OTHER_USER)
            }
            _ => LoginStep::Verify(Credentials {
                user: name.into_owned(),
                password,
                mechanism: self.mechanism,
                peer: Arc::clone(&self.peer),
                network: self.transport.network,
            }),
        }
    }

    fn warn(&self, user: &str, reason: &str) {
        warn!(user = %shown(user), peer = %self.peer, reason, "login refused");
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .field("under_way", &self.exchange.is_some())
            .finish_non_exhaustive()
    }
}

fn reason(error: &SessionError) -> String {
    match error {
        SessionError::MechanismError(error) => error.to_string(),
        error => error.to_string(),
    }
}
