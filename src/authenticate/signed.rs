//! Requests that an access key proves: by a signature, or by its secret in `Basic`.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::presented::{BasicPair, Claim, Presented};
use super::sender::Sender;
use super::signature::sigv4::{self, Chunked, Payload, Proven, Signed as Body, SigningKey};
use super::signature::{BodyCheck, Fault, Message, Unproven, content_digest::ContentDigest};
use super::{Attempt, Credentials, Proof, Terms};
use crate::clock::Clock;
use crate::model::{AccessKeyId, SignatureDigest};
use crate::refusal::Refusal;
use crate::request::RequestHead;
use crate::services::{AccessKeys, KeyProof, KeyRefusal, LiveKey, Services};

/// The length of the content of a body in chunks.
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";

/// Judges what an access key proves. Keys are in memory; only `Basic` asks the store, whether the key is locked.
#[derive(Debug)]
pub(super) struct SignedScheme {
    keys: Arc<AccessKeys>,
    proof: Arc<KeyProof>,
    clock: Clock,
}

/// What is known of a request that an access key proves.
#[derive(Debug)]
pub struct Signed {
    pub(super) form: Form,
    /// Tells the signature from others, and when it is of no use by itself. `None`: there is no signature.
    pub spends: Option<(SignatureDigest, Timestamp)>,
    /// What the body must turn out to be, where it was not read yet.
    pub body: Option<BodyCheck>,
    /// The body comes in chunks, and the application gets their content: its length, if that was said.
    pub chunks: Option<Option<u64>>,
}

/// Where in a request its proof is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Authorization,
    Query,
    Message,
}

impl Signed {
    /// Whether the signature is in the query: then whoever has the URL says the rest of the request.
    pub fn is_presigned(&self) -> bool {
        self.form == Form::Query
    }
}

/// A signature that can be judged only once the whole body was read.
#[derive(Debug)]
pub struct Pending<'h>(Box<Case<'h>>);

#[derive(Debug)]
struct Case<'h> {
    claim: Claim<'h>,
    message: Message<'h>,
    /// The key that is claimed, if it serves.
    key: Option<Arc<LiveKey>>,
    terms: Terms,
    sender: Sender<'h>,
}

/// What the head of a request proves.
enum ByHead {
    Proven(Signed),
    /// Nothing without the body.
    NeedsBody,
}

/// Why a signature proves nothing: with what the operator may compare.
struct Wrong {
    fault: Fault,
    canonical: Option<Unproven>,
}

impl SignedScheme {
    pub(super) fn new(services: &Services, clock: Clock) -> Self {
        Self {
            keys: services.access_keys.clone(),
            proof: services.key_proof.clone(),
            clock,
        }
    }

    pub(super) async fn attempt<'h>(&self, head: &RequestHead<'h>, terms: Terms) -> Attempt<'h> {
        let message = Message {
            method: head.method.as_str(),
            authority: head.authority,
            path: head.path,
            query: head.query,
            headers: head.headers,
        };
        match (Presented::of(&message), self.keys.require_current()) {
            (Ok(Some(_)), Err(error)) => Attempt::Unavailable(error),
            (presented, _) => self.judge(presented, message, head, terms).await,
        }
    }

    async fn judge<'h>(
        &self,
        presented: Result<Option<Presented<'h>>, Fault>,
        message: Message<'h>,
        head: &RequestHead<'h>,
        terms: Terms,
    ) -> Attempt<'h> {
        match presented {
            Ok(None) => Attempt::NotPresented,
            Ok(Some(Presented::Basic(pair))) => self.basic(&pair, Sender::of(head)).await,
            Ok(Some(Presented::Signed(claim))) => self.signature(claim, message, terms, Sender::of(head)),
            Err(fault) => Attempt::Rejected(self.refuse("", Sender::of(head), fault.into())),
        }
    }

    async fn basic<'h>(&self, pair: &BasicPair, sender: Sender<'h>) -> Attempt<'h> {
        match self
            .proof
            .by_secret(pair.access_key(), pair.secret(), &sender.origin())
            .await
        {
            Ok(key) => {
                let signed = Signed {
                    form: Form::Authorization,
                    spends: None,
                    body: None,
                    chunks: None,
                };
                self.verified(key, signed, sender)
            }
            Err(KeyRefusal::Store(error)) => Attempt::Unavailable(error),
            Err(refusal) => Attempt::Rejected(refusal.into()),
        }
    }

    fn signature<'h>(
        &self,
        claim: Claim<'h>,
        message: Message<'h>,
        terms: Terms,
        sender: Sender<'h>,
    ) -> Attempt<'h> {
        let is_taken = terms.presigned || !claim.is_in_query();
        let taken = if is_taken { Ok(()) } else { Err(Fault::Presigned) };
        if let Err(fault) = taken.and_then(|()| claim.require_time(self.clock.now())) {
            return Attempt::Rejected(self.refuse(claim.access_key(), sender, fault.into()));
        }
        let id = AccessKeyId::parse(claim.access_key().as_bytes());
        let case = Case {
            key: id.ok().and_then(|id| self.keys.find(&id)),
            claim,
            message,
            terms,
            sender,
        };
        match case.by_head(self.secret(&case)) {
            Ok(ByHead::NeedsBody) => Attempt::Undecided(Pending(Box::new(case))),
            Ok(ByHead::Proven(signed)) => self.conclude(case, Ok(signed)),
            Err(wrong) => self.conclude(case, Err(wrong)),
        }
    }

    /// Judges a signature now that the body was read, by the key as it is now (S76).
    pub(super) fn decide<'h>(&self, pending: Pending<'h>, body: &Bytes) -> Attempt<'h> {
        if let Err(error) = self.keys.require_current() {
            return Attempt::Unavailable(error);
        }
        let mut case = *pending.0;
        case.key = case.key.and_then(|key| self.keys.find(&key.id()));
        let judged = case.by_body(self.secret(&case), body);
        self.conclude(case, judged)
    }

    /// Where there is no such key, the signature is held against another secret, and the answer does not count: so it
    /// takes as long (S37).
    fn secret<'s>(&'s self, case: &'s Case<'_>) -> &'s str {
        let key = case.key.as_ref().map(|key| key.secret());
        key.unwrap_or(self.keys.nobodys_secret()).expose()
    }

    fn conclude<'h>(&self, case: Case<'h>, judged: Result<Signed, Wrong>) -> Attempt<'h> {
        match (judged, case.key) {
            (Ok(signed), Some(key)) => self.verified(key, signed, case.sender),
            (Ok(_), None) => {
                let refusal = Fault::Unproven.into();
                Attempt::Rejected(self.refuse(case.claim.access_key(), case.sender, refusal))
            }
            (Err(wrong), _) => {
                let refusal = wrong.into();
                Attempt::Rejected(self.refuse(case.claim.access_key(), case.sender, refusal))
            }
        }
    }

    fn verified<'h>(&self, key: Arc<LiveKey>, signed: Signed, sender: Sender<'h>) -> Attempt<'h> {
        self.keys.used(&key, Some(sender.address), sender.user_agent);
        let principal = key.principal().clone();
        let proof = if signed.is_presigned() {
            Proof::PresignedUrl(key)
        } else {
            Proof::Key(key)
        };
        let credentials = Credentials {
            principal,
            proof: Some(proof),
        };
        Attempt::Verified(credentials, Some(Box::new(signed)))
    }

    fn refuse(&self, access_key: &str, sender: Sender<'_>, refusal: Refusal) -> Refusal {
        let detail = refusal.cause.as_deref().unwrap_or_default().to_owned();
        let reason = refusal.problem.slug();
        self.proof
            .note_refused(access_key, &sender.origin(), reason, detail);
        refusal
    }
}

impl Case<'_> {
    /// Judges what can be judged without the body.
    fn by_head(&self, secret: &str) -> Result<ByHead, Wrong> {
        let has_body = self.terms.has_body;
        match &self.claim {
            Claim::SigV4(claim) => {
                let may_be_unsigned = self.terms.unsigned_payload;
                let body = match claim.payload() {
                    Payload::Unsigned if !may_be_unsigned => return Err(Fault::BodyNotSigned.into()),
                    Payload::Chunked(form) if !form.is_signed() && !may_be_unsigned => {
                        return Err(Fault::BodyNotSigned.into());
                    }
                    Payload::Undeclared if !has_body => {
                        return Ok(ByHead::Proven(self.by_body(secret, b"")?));
                    }
                    Payload::Undeclared if claim.is_in_query() && may_be_unsigned => {
                        let unsigned = Body::Declared(Payload::Unsigned);
                        return Ok(match self.by_derived_key(claim, secret, unsigned) {
                            Ok((proven, _)) => ByHead::Proven(self.signed(&proven.signature, proven.until)),
                            Err(_) => ByHead::NeedsBody,
                        });
                    }
                    Payload::Undeclared => return Ok(ByHead::NeedsBody),
                    // Nobody asks for a body of which nothing is left, so it is checked before anything is sent.
                    Payload::Chunked(_) if has_body && self.decoded_length()? == Some(0) => {
                        return Ok(ByHead::NeedsBody);
                    }
                    declared => declared,
                };
                let (proven, key) = self.by_derived_key(claim, secret, Body::Declared(body))?;
                let mut signed = self.signed(&proven.signature, proven.until);
                match body {
                    Payload::Hash(hash) => signed.body = Some(checked(hash.into())),
                    Payload::Chunked(form) => {
                        let length = self.decoded_length()?;
                        signed.body = Some(BodyCheck::Chunks(Box::new(claim.chunks(form, &key, length))));
                        signed.chunks = Some(length);
                    }
                    Payload::Undeclared | Payload::Unsigned => {}
                }
                self.over_if_empty(signed)
            }
            Claim::BackendAi(claim) if claim.signs_body() && has_body => Ok(ByHead::NeedsBody),
            Claim::BackendAi(_) => Ok(ByHead::Proven(self.by_body(secret, b"")?)),
            Claim::Message(claim) => {
                let proven = claim.verify(&self.message, secret)?;
                let mut signed = self.signed(&proven.signature, proven.until);
                match claim.content_digest() {
                    Some(digest) => signed.body = Some(checked(digest.clone())),
                    None if has_body && !self.terms.unsigned_payload => {
                        return Err(Fault::NotSigned("content-digest".into()).into());
                    }
                    None => {}
                }
                self.over_if_empty(signed)
            }
        }
    }

    /// Judges with the key for the claim's day, region and service, which is derived once.
    fn by_derived_key(
        &self,
        claim: &sigv4::Claim<'_>,
        secret: &str,
        body: Body<'_>,
    ) -> Result<(Proven, SigningKey), Unproven> {
        let derive = || SigningKey::derive(secret, claim.credential());
        let derived = self.key.as_ref().map(|key| key.derived());
        let remembered = derived.and_then(|derived| derived.find(claim.scope()));
        let is_new = remembered.is_none();
        let key = remembered.map_or_else(derive, SigningKey::from);
        let judged = claim.verify(&self.message, body, &key);
        match (&judged, derived) {
            (Ok(_), Some(derived)) if is_new => derived.remember(claim.scope(), key.secret()),
            // A refusal takes as long as one of a key that does not exist (S37).
            (Err(_), _) if !is_new => drop(std::hint::black_box(derive())),
            _ => {}
        }
        judged.map(|proven| (proven, key))
    }

    /// A body of which nothing comes is over before anything is sent.
    fn over_if_empty(&self, mut signed: Signed) -> Result<ByHead, Wrong> {
        if !self.terms.has_body
            && let Some(mut check) = signed.body.take()
        {
            check.end()?;
        }
        Ok(ByHead::Proven(signed))
    }

    /// Judges all of it, with the body that was read.
    fn by_body(&self, secret: &str, body: &[u8]) -> Result<Signed, Wrong> {
        match &self.claim {
            Claim::SigV4(claim) => {
                if let Payload::Chunked(form) = claim.payload() {
                    return self.by_chunks(claim, form, secret, body);
                }
                let hash = Sha256::digest(body).into();
                // Without a body there is nothing that could have been left unsigned.
                let read = if claim.is_in_query() && body.is_empty() {
                    Body::ReadOrUnsigned(&hash)
                } else {
                    Body::Read(&hash)
                };
                let (proven, _) = self.by_derived_key(claim, secret, read)?;
                Ok(self.signed(&proven.signature, proven.until))
            }
            Claim::BackendAi(claim) => {
                let proven = claim.verify(&self.message, body, secret)?;
                Ok(self.signed(&proven.signature, proven.until))
            }
            Claim::Message(claim) => {
                let proven = claim.verify(&self.message, secret)?;
                Ok(self.signed(&proven.signature, proven.until))
            }
        }
    }

    /// Judges chunks that were read.
    fn by_chunks(
        &self,
        claim: &sigv4::Claim<'_>,
        form: Chunked,
        secret: &str,
        body: &[u8],
    ) -> Result<Signed, Wrong> {
        let declared = Body::Declared(Payload::Chunked(form));
        let (proven, key) = self.by_derived_key(claim, secret, declared)?;
        let length = self.decoded_length()?;
        let mut chunks = claim.chunks(form, &key, length);
        chunks.push(Bytes::copy_from_slice(body), &mut VecDeque::new())?;
        chunks.end()?;
        Ok(Signed {
            chunks: Some(length),
            ..self.signed(&proven.signature, proven.until)
        })
    }

    fn signed(&self, signature: &[u8], until: Timestamp) -> Signed {
        let digest = SignatureDigest::of(self.claim.access_key(), signature);
        // The last moment in which it serves is one in which it is remembered.
        let until = until.checked_add(SignedDuration::from_secs(1));
        Signed {
            form: match &self.claim {
                Claim::SigV4(claim) if claim.is_in_query() => Form::Query,
                Claim::SigV4(_) | Claim::BackendAi(_) => Form::Authorization,
                Claim::Message(_) => Form::Message,
            },
            spends: Some((digest, until.unwrap_or(Timestamp::MAX))),
            body: None,
            chunks: None,
        }
    }

    fn decoded_length(&self) -> Result<Option<u64>, Fault> {
        let text = self.message.headers.get(DECODED_LENGTH);
        text.map(|text| {
            let number = text.to_str().ok().and_then(|text| text.trim().parse().ok());
            number.ok_or(Fault::Malformed("x-amz-decoded-content-length is not a number"))
        })
        .transpose()
    }
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            canonical: None,
        }
    }
}

impl From<Unproven> for Wrong {
    fn from(unproven: Unproven) -> Self {
        Self {
            fault: Fault::Unproven,
            canonical: Some(unproven),
        }
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        let mut refusal = Self::from(wrong.fault);
        if let (Some(unproven), Some(cause)) = (wrong.canonical, &refusal.cause) {
            let cause = format!("{cause}; SHA-256 of what should have been signed: {unproven}");
            refusal.cause = Some(cause.into());
        }
        refusal
    }
}

fn checked(digest: ContentDigest) -> BodyCheck {
    BodyCheck::Hash(Box::new(digest.hashing()))
}
