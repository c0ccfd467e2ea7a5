//! Whether a claim is true: against the users file, the memory of verified logins, and `saslauthd`.

use std::time::{Duration, Instant};

use mupdate_core::server::AuthReply;
use subtle::Choice;
use tracing::debug;

use super::claim::Claim;
use super::saslauthd::{Answer, Saslauthd};
use super::{Credentials, FAILED, NOT_NOW, OFTEN, OTHER_USER, Outcome, Shared, Standing, rejected, shown};
use crate::scram::ScramRecord;

impl Shared {
    /// The answer, if it does not take a look at the password: the same login was verified a moment ago, or too many
    /// have failed.
    pub(super) fn at_once(&self, credentials: &Credentials) -> Option<AuthReply> {
        let standing = self.standing(&credentials.claim);
        if standing != Standing::Refused
            && let Some(reply) = self.remembered(credentials)
        {
            return Some(reply);
        }
        (standing != Standing::Open).then(|| self.unseen(&credentials.claim))
    }

    /// The answer, if the same login was verified a moment ago.
    fn remembered(&self, credentials: &Credentials) -> Option<AuthReply> {
        let users = self.users.load();
        let (user, password) = (credentials.user(), &credentials.password);
        let fingerprint = match users.password(user) {
            Some(record) => self.cache.fingerprint(user, password, record),
            None if self.is_elsewhere(user) => self.cache.fingerprint_elsewhere(user, password),
            None => return None,
        };
        self.cache.knows(&fingerprint, Instant::now()).then(|| {
            self.count(&credentials.claim, Outcome::Remembered);
            self.accepted(&credentials.claim)
        })
    }

    /// The answer, by way of the slow hash unless another thread has just done the same.
    pub(super) fn verify(&self, credentials: &Credentials) -> AuthReply {
        // Others like it may have been looked at while it waited.
        if let Some(reply) = self.at_once(credentials) {
            return reply;
        }
        let Credentials { claim, password } = credentials;
        let users = self.users.load_full();
        let known = users.password(&claim.user);
        // The time must not tell whether the user exists.
        let (hash, iterations) = users.slowest();
        let nobody = ScramRecord::nobody(hash, iterations);
        let matches = known.unwrap_or(&nobody).verify(password);
        let exists = Choice::from(u8::from(known.is_some()));
        match known.filter(|_| bool::from(matches & exists)) {
            Some(record) => {
                self.count(claim, Outcome::Verified);
                let fingerprint = self.cache.fingerprint(&claim.user, password, record);
                self.cache.remember(fingerprint, Instant::now());
                self.accepted(claim)
            }
            None => {
                let reason = match users.get(&claim.user) {
                    None => "no such user",
                    Some(_) if known.is_none() => "this user has no password",
                    Some(_) => "wrong password",
                };
                // Nor must it tell who is known to whom.
                let takes =
                    self.elsewhere.load().as_ref().map_or(Duration::ZERO, |asked| asked.refusal_takes());
                self.failed(claim, reason, takes)
            }
        }
    }

    /// The answer by way of `saslauthd`, which may take until the deadline.
    pub(super) fn verify_elsewhere(
        &self,
        saslauthd: &Saslauthd,
        credentials: &Credentials,
        deadline: Instant,
    ) -> AuthReply {
        if let Some(reply) = self.at_once(credentials) {
            return reply;
        }
        let Credentials { claim, password } = credentials;
        match saslauthd.ask(&claim.user, password, deadline) {
            // A reload may have come in between.
            Answer::Yes if self.is_elsewhere(&claim.user) => {
                self.count(claim, Outcome::Verified);
                self.cache.remember(self.cache.fingerprint_elsewhere(&claim.user, password), Instant::now());
                self.accepted(claim)
            }
            Answer::Yes | Answer::No => self.failed(claim, "saslauthd says no", Duration::ZERO),
            Answer::Unavailable => {
                self.count(claim, Outcome::Unavailable);
                rejected(NOT_NOW)
            }
        }
    }

    /// Is the password of this user known elsewhere?
    pub(super) fn is_elsewhere(&self, user: &str) -> bool {
        let elsewhere = self.elsewhere.load();
        elsewhere.as_ref().is_some_and(|asked| asked.settings().users.contains(user))
            && self.users.load().get(user).is_none()
    }

    /// What is to be said to a proof of SCRAM, if it is not enough. `real` says whether `record` is the user's own. A
    /// proof costs no hash, so where only what is remembered is looked at, a right one goes on too.
    pub(super) fn judge(
        &self,
        claim: &Claim,
        record: &ScramRecord,
        real: bool,
        proven: bool,
    ) -> Result<(), AuthReply> {
        let standing = self.standing(claim);
        if standing == Standing::Refused || (standing == Standing::RememberedOnly && !proven) {
            return Err(self.unseen(claim));
        }
        let users = self.users.load();
        let keys = users.get(&claim.user);
        // A reload may have come in between.
        let reason = match keys.and_then(|keys| keys.of(record.hash())) {
            Some(now) if real && proven && now == record => return self.authorised(claim).map(drop),
            Some(_) => "wrong password",
            None if keys.is_some() => "no keys for this mechanism",
            None => "no such user",
        };
        Err(self.failed(claim, reason, Duration::ZERO))
    }

    /// An exchange of SCRAM that was [judged](Self::judge) to be right has come to its end, or a certificate speaks for
    /// the user.
    pub(super) fn proved(&self, claim: &Claim) -> AuthReply {
        self.count(claim, Outcome::Verified);
        self.accepted(claim)
    }

    fn count(&self, claim: &Claim, outcome: Outcome) {
        self.outcomes.add(Some(claim.mechanism), outcome);
    }

    fn standing(&self, claim: &Claim) -> Standing {
        self.guesses.standing(&claim.user, claim.network, Instant::now())
    }

    fn unseen(&self, claim: &Claim) -> AuthReply {
        self.count(claim, Outcome::Unseen);
        debug!(user = %shown(&claim.user), peer = %claim.peer, "login refused unseen: too many failed");
        AuthReply::Rejected { text: OFTEN.to_owned(), delay: self.guesses.refusal_delay() }
    }

    /// The answer to a wrong password, held back for `more` than it would be otherwise.
    fn failed(&self, claim: &Claim, reason: &str, more: Duration) -> AuthReply {
        self.count(claim, Outcome::Failed);
        claim.warn(reason);
        let delay = self.guesses.failed(&claim.user, claim.network, Instant::now());
        AuthReply::Rejected { text: FAILED.to_owned(), delay: delay + more }
    }

    /// The user is who he says to be.
    fn accepted(&self, claim: &Claim) -> AuthReply {
        let Claim { user, mechanism, peer, network, .. } = claim;
        self.guesses.succeeded(user, *network, Instant::now());
        match self.authorised(claim) {
            Ok(principal) => {
                let acting_as = claim.acting_as.as_deref();
                debug!(user, acting_as, %peer, mechanism = mechanism.name(), "logged in");
                AuthReply::Accepted { principal: principal.to_owned() }
            }
            Err(refusal) => refusal,
        }
    }

    /// As whom the user may act. That is looked at after the password, or else strangers could ask.
    fn authorised<'a>(&self, claim: &'a Claim) -> Result<&'a str, AuthReply> {
        match &claim.acting_as {
            None => Ok(&claim.user),
            Some(other)
                if self.settings.load().auth.proxies.contains(&claim.user)
                    && self.users.load().get(other).is_some() =>
            {
                Ok(other)
            }
            Some(_) => {
                claim.warn("wants to act as another user");
                Err(rejected(OTHER_USER))
            }
        }
    }
}
