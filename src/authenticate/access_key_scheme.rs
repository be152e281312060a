//! The access key scheme: authenticates by a signature, or by an access key and its secret in `Basic`.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::credentials::{BasicCredentials, PresentedCredentials, SignedClaim};
use super::request_origin::RequestOrigin;
use super::signature::sigv4::{self, Chunked, Payload, SignedPayload as Body, SigningKey, VerifiedSigV4};
use super::signature::{BodyCheck, Message, Mismatch, SignatureError, content_digest::ContentDigest};
use super::{AuthRequirements, Credentials, Proof, SchemeResult};
use crate::clock::Clock;
use crate::model::{AccessKeyId, SignatureDigest};
use crate::refusal::Refusal;
use crate::request::{RequestHead, parse_decimal};
use crate::services::{AccessKeyAuthError, AccessKeyVerifier, AccessKeys, ActiveKey, Services};

/// The length of a chunked body's content.
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";

/// Verifies signatures and secrets of access keys. Keys are in memory; only `Basic` reads the store, for
/// lockouts.
#[derive(Debug)]
pub(super) struct AccessKeyScheme {
    keys: Arc<AccessKeys>,
    proof: Arc<AccessKeyVerifier>,
    clock: Clock,
}

/// The verified proof of a request, and what remains to be done with it.
#[derive(Debug)]
pub struct SignedRequest {
    pub(super) form: ProofLocation,
    /// The signature's digest, and until when it is valid, for replay protection. `None` for `Basic`.
    pub spends: Option<(SignatureDigest, Timestamp)>,
    /// The check of the body, if it was not read yet.
    pub body: Option<BodyCheck>,
    /// `Some` if the body is `aws-chunked` and its content is forwarded: has the content's length, if
    /// declared.
    pub chunks: Option<Option<u64>>,
}

/// Which part of a request carries the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProofLocation {
    Authorization,
    Query,
    Message,
}

impl SignedRequest {
    /// Whether the signature is in the query: then the holder of the URL chooses the rest of the request.
    pub fn is_presigned(&self) -> bool {
        self.form == ProofLocation::Query
    }
}

/// A verification that needs the whole body.
#[derive(Debug)]
pub struct PendingVerification<'h>(Box<Verification<'h>>);

#[derive(Debug)]
struct Verification<'h> {
    claim: SignedClaim<'h>,
    message: Message<'h>,
    /// The claimed key, if it is active.
    key: Option<Arc<ActiveKey>>,
    requirements: AuthRequirements,
    sender: RequestOrigin<'h>,
}

/// What the head of a request proves.
enum HeadVerdict {
    Verified(SignedRequest),
    /// Nothing without the body.
    NeedsBody,
}

/// Why a signature is invalid, with the canonical request's hash for the operator.
struct VerifyError {
    error: SignatureError,
    canonical: Option<Mismatch>,
}

impl AccessKeyScheme {
    pub(super) fn new(services: &Services, clock: Clock) -> Self {
        Self {
            keys: services.access_keys.clone(),
            proof: services.access_key_auth.clone(),
            clock,
        }
    }

    pub(super) async fn attempt<'h>(
        &self,
        head: &RequestHead<'h>,
        requirements: AuthRequirements,
    ) -> SchemeResult<'h> {
        let message = Message {
            method: head.method.as_str(),
            authority: head.authority,
            path: head.path,
            query: head.query,
            headers: head.headers,
        };
        match (PresentedCredentials::of(&message), self.keys.require_store_lock()) {
            (Ok(Some(_)), Err(error)) => SchemeResult::Unavailable(error),
            (presented, _) => self.verify(presented, message, head, requirements).await,
        }
    }

    async fn verify<'h>(
        &self,
        presented: Result<Option<PresentedCredentials<'h>>, SignatureError>,
        message: Message<'h>,
        head: &RequestHead<'h>,
        requirements: AuthRequirements,
    ) -> SchemeResult<'h> {
        match presented {
            Ok(None) => SchemeResult::NotPresented,
            Ok(Some(PresentedCredentials::Basic(pair))) => self.basic(&pair, RequestOrigin::of(head)).await,
            Ok(Some(PresentedCredentials::Signed(claim))) => {
                self.signature(claim, message, requirements, RequestOrigin::of(head))
            }
            Err(fault) => SchemeResult::Rejected(self.refuse("", RequestOrigin::of(head), fault.into())),
        }
    }

    async fn basic<'h>(&self, pair: &BasicCredentials, sender: RequestOrigin<'h>) -> SchemeResult<'h> {
        match self
            .proof
            .by_secret(pair.access_key(), pair.secret(), &sender.origin())
            .await
        {
            Ok(key) => {
                let signed = SignedRequest {
                    form: ProofLocation::Authorization,
                    spends: None,
                    body: None,
                    chunks: None,
                };
                self.verified(key, signed, sender)
            }
            Err(AccessKeyAuthError::Store(error)) => SchemeResult::Unavailable(error),
            Err(refusal) => SchemeResult::Rejected(refusal.into()),
        }
    }

    fn signature<'h>(
        &self,
        claim: SignedClaim<'h>,
        message: Message<'h>,
        requirements: AuthRequirements,
        sender: RequestOrigin<'h>,
    ) -> SchemeResult<'h> {
        let is_taken = requirements.presigned || !claim.is_in_query();
        let taken = if is_taken {
            Ok(())
        } else {
            Err(SignatureError::Presigned)
        };
        if let Err(fault) = taken.and_then(|()| claim.require_time(self.clock.now())) {
            return SchemeResult::Rejected(self.refuse(claim.access_key(), sender, fault.into()));
        }
        let id = AccessKeyId::parse(claim.access_key().as_bytes());
        let verification = Verification {
            key: id.ok().and_then(|id| self.keys.find(&id)),
            claim,
            message,
            requirements,
            sender,
        };
        match verification.by_head(self.secret(&verification)) {
            Ok(HeadVerdict::NeedsBody) => {
                SchemeResult::Undecided(PendingVerification(Box::new(verification)))
            }
            Ok(HeadVerdict::Verified(signed)) => self.conclude(verification, Ok(signed)),
            Err(wrong) => self.conclude(verification, Err(wrong)),
        }
    }

    /// Completes a verification with the body, against the key's current state (S76).
    pub(super) fn decide<'h>(&self, pending: PendingVerification<'h>, body: &Bytes) -> SchemeResult<'h> {
        if let Err(error) = self.keys.require_store_lock() {
            return SchemeResult::Unavailable(error);
        }
        let mut case = *pending.0;
        case.key = case.key.and_then(|key| self.keys.find(&key.id()));
        let judged = case.by_body(self.secret(&case), body);
        self.conclude(case, judged)
    }

    /// Returns the key's secret. For an unknown key it returns a dummy, so that verification takes the same
    /// time; the result is not used (S37).
    fn secret<'s>(&'s self, verification: &'s Verification<'_>) -> &'s str {
        let key = verification.key.as_ref().map(|key| key.secret());
        key.unwrap_or(self.keys.dummy_secret()).expose()
    }

    fn conclude<'h>(
        &self,
        verification: Verification<'h>,
        judged: Result<SignedRequest, VerifyError>,
    ) -> SchemeResult<'h> {
        match (judged, verification.key) {
            (Ok(signed), Some(key)) => self.verified(key, signed, verification.sender),
            (Ok(_), None) => {
                let refusal = SignatureError::Mismatch.into();
                SchemeResult::Rejected(self.refuse(
                    verification.claim.access_key(),
                    verification.sender,
                    refusal,
                ))
            }
            (Err(wrong), _) => {
                let refusal = wrong.into();
                SchemeResult::Rejected(self.refuse(
                    verification.claim.access_key(),
                    verification.sender,
                    refusal,
                ))
            }
        }
    }

    fn verified<'h>(
        &self,
        key: Arc<ActiveKey>,
        signed: SignedRequest,
        sender: RequestOrigin<'h>,
    ) -> SchemeResult<'h> {
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
            policies: Vec::new(),
        };
        SchemeResult::Verified(credentials, Some(Box::new(signed)))
    }

    fn refuse(&self, access_key: &str, sender: RequestOrigin<'_>, refusal: Refusal) -> Refusal {
        let detail = refusal.cause.as_deref().unwrap_or_default().to_owned();
        let reason = refusal.problem.slug();
        self.proof
            .note_refused(access_key, &sender.origin(), reason, detail);
        refusal
    }
}

impl Verification<'_> {
    /// Verifies what can be verified without the body.
    fn by_head(&self, secret: &str) -> Result<HeadVerdict, VerifyError> {
        let has_body = self.requirements.has_body;
        match &self.claim {
            SignedClaim::SigV4(claim) => {
                let may_be_unsigned = self.requirements.unsigned_payload;
                let body = match claim.payload() {
                    Payload::Unsigned if !may_be_unsigned => return Err(SignatureError::BodyNotSigned.into()),
                    Payload::Chunked(form) if !form.is_signed() && !may_be_unsigned => {
                        return Err(SignatureError::BodyNotSigned.into());
                    }
                    Payload::Undeclared if !has_body => {
                        return Ok(HeadVerdict::Verified(self.by_body(secret, b"")?));
                    }
                    Payload::Undeclared if claim.is_in_query() && may_be_unsigned => {
                        let unsigned = Body::Declared(Payload::Unsigned);
                        return Ok(match self.by_derived_key(claim, secret, unsigned) {
                            Ok((proven, _)) => {
                                HeadVerdict::Verified(self.signed(&proven.signature, proven.until))
                            }
                            Err(_) => HeadVerdict::NeedsBody,
                        });
                    }
                    Payload::Undeclared => return Ok(HeadVerdict::NeedsBody),
                    // hyper does not poll a body with `Content-Length: 0`, so an empty one is checked before
                    // anything is sent.
                    Payload::Chunked(_) if has_body && self.decoded_length()? == Some(0) => {
                        return Ok(HeadVerdict::NeedsBody);
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
            SignedClaim::BackendAi(claim) if claim.signs_body() && has_body => Ok(HeadVerdict::NeedsBody),
            SignedClaim::BackendAi(_) => Ok(HeadVerdict::Verified(self.by_body(secret, b"")?)),
            SignedClaim::Message(claim) => {
                let proven = claim.verify(&self.message, secret)?;
                let mut signed = self.signed(&proven.signature, proven.until);
                match claim.content_digest() {
                    Some(digest) => signed.body = Some(checked(digest.clone())),
                    None if has_body && !self.requirements.unsigned_payload => {
                        return Err(SignatureError::NotSigned("content-digest".into()).into());
                    }
                    None => {}
                }
                self.over_if_empty(signed)
            }
        }
    }

    /// Verifies with the signing key of the claim's day, region and service, which is cached.
    fn by_derived_key(
        &self,
        claim: &sigv4::SigV4Claim<'_>,
        secret: &str,
        body: Body<'_>,
    ) -> Result<(VerifiedSigV4, SigningKey), Mismatch> {
        let derive = || SigningKey::derive(secret, claim.credential());
        let derived = self.key.as_ref().map(|key| key.derived());
        let remembered = derived.and_then(|derived| derived.find(claim.scope()));
        let is_new = remembered.is_none();
        let key = remembered.map_or_else(derive, SigningKey::from);
        let judged = claim.verify(&self.message, body, &key);
        match (&judged, derived) {
            (Ok(_), Some(derived)) if is_new => derived.remember(claim.scope(), key.secret()),
            // A refusal takes as long as that of an unknown key (S37).
            (Err(_), _) if !is_new => drop(std::hint::black_box(derive())),
            _ => {}
        }
        judged.map(|proven| (proven, key))
    }

    /// Completes the check of an absent body before anything is sent.
    fn over_if_empty(&self, mut signed: SignedRequest) -> Result<HeadVerdict, VerifyError> {
        if !self.requirements.has_body
            && let Some(mut check) = signed.body.take()
        {
            check.end()?;
        }
        Ok(HeadVerdict::Verified(signed))
    }

    /// Verifies all of the request, with its body.
    fn by_body(&self, secret: &str, body: &[u8]) -> Result<SignedRequest, VerifyError> {
        match &self.claim {
            SignedClaim::SigV4(claim) => {
                if let Payload::Chunked(form) = claim.payload() {
                    return self.by_chunks(claim, form, secret, body);
                }
                let hash = Sha256::digest(body).into();
                // Without a body, nothing could have been left unsigned.
                let read = if claim.is_in_query() && body.is_empty() {
                    Body::ReadOrUnsigned(&hash)
                } else {
                    Body::Read(&hash)
                };
                let (proven, _) = self.by_derived_key(claim, secret, read)?;
                Ok(self.signed(&proven.signature, proven.until))
            }
            SignedClaim::BackendAi(claim) => {
                let proven = claim.verify(&self.message, body, secret)?;
                Ok(self.signed(&proven.signature, proven.until))
            }
            SignedClaim::Message(claim) => {
                let proven = claim.verify(&self.message, secret)?;
                Ok(self.signed(&proven.signature, proven.until))
            }
        }
    }

    /// Verifies a chunked body that is in memory.
    fn by_chunks(
        &self,
        claim: &sigv4::SigV4Claim<'_>,
        form: Chunked,
        secret: &str,
        body: &[u8],
    ) -> Result<SignedRequest, VerifyError> {
        let declared = Body::Declared(Payload::Chunked(form));
        let (proven, key) = self.by_derived_key(claim, secret, declared)?;
        let length = self.decoded_length()?;
        let mut chunks = claim.chunks(form, &key, length);
        chunks.push(Bytes::copy_from_slice(body), &mut VecDeque::new())?;
        chunks.end()?;
        Ok(SignedRequest {
            chunks: Some(length),
            ..self.signed(&proven.signature, proven.until)
        })
    }

    fn signed(&self, signature: &[u8], until: Timestamp) -> SignedRequest {
        let digest = SignatureDigest::of(self.claim.access_key(), signature);
        // Remembered for one more second, so that it is not forgotten in the last one in which it is valid.
        let until = until.checked_add(SignedDuration::from_secs(1));
        SignedRequest {
            form: match &self.claim {
                SignedClaim::SigV4(claim) if claim.is_in_query() => ProofLocation::Query,
                SignedClaim::SigV4(_) | SignedClaim::BackendAi(_) => ProofLocation::Authorization,
                SignedClaim::Message(_) => ProofLocation::Message,
            },
            spends: Some((digest, until.unwrap_or(Timestamp::MAX))),
            body: None,
            chunks: None,
        }
    }

    fn decoded_length(&self) -> Result<Option<u64>, SignatureError> {
        let text = self.message.only(DECODED_LENGTH)?;
        text.map(|text| {
            parse_decimal(text).ok_or(SignatureError::Malformed(
                "x-amz-decoded-content-length is not a number in its usual spelling",
            ))
        })
        .transpose()
    }
}

impl From<SignatureError> for VerifyError {
    fn from(error: SignatureError) -> Self {
        Self {
            error,
            canonical: None,
        }
    }
}

impl From<Mismatch> for VerifyError {
    fn from(unproven: Mismatch) -> Self {
        Self {
            error: SignatureError::Mismatch,
            canonical: Some(unproven),
        }
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        let mut refusal = Self::from(error.error);
        if let (Some(unproven), Some(cause)) = (error.canonical, &refusal.cause) {
            let cause = format!("{cause}; SHA-256 of what should have been signed: {unproven}");
            refusal.cause = Some(cause.into());
        }
        refusal
    }
}

fn checked(digest: ContentDigest) -> BodyCheck {
    BodyCheck::Hash(Box::new(digest.hashing()))
}
