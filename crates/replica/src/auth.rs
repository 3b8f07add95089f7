//! Who a client is: identities, ACLs that name them, and what the operator demands.
//!
//! Identities belong to a connection, never to a session. A request carries those its connection had
//! when it came.

mod address;
mod digest;
mod scheme;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use oxherd_proto::{Acl, AuthPacket, ClientInfo, ErrorCode, Id, Str};

pub use digest::DigestAlgorithm;
pub use scheme::Scheme;

/// Permission bits of an ACL entry.
// Java: ZooDefs.Perms
pub(crate) mod perms {
    /// Reads data and lists children.
    pub(crate) const READ: i32 = 1;
    /// Replaces data.
    pub(crate) const WRITE: i32 = 2;
    /// Makes children.
    pub(crate) const CREATE: i32 = 4;
    /// Removes children.
    pub(crate) const DELETE: i32 = 8;
    /// Replaces the ACL.
    pub(crate) const ADMIN: i32 = 16;
}

/// Which identities there are and who must have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthOptions {
    /// Whether the scheme `digest` exists (`DigestAuthenticationProvider.enabled`).
    pub digest: bool,
    /// Hash behind `digest` identities (`DigestAuthenticationProvider.digestAlg`).
    pub digest_algorithm: DigestAlgorithm,
    /// The `user:hash` whose owner may do anything (`DigestAuthenticationProvider.superDigest`).
    pub super_digest: Option<String>,
    /// Whether the scheme `x509` exists (a secure client port, or `authProvider.*`).
    pub x509: bool,
    /// Whether the scheme `sasl` exists (`authProvider.*`).
    pub sasl: bool,
    /// Whether the scheme `ensemble` exists (`authProvider.*`).
    pub ensemble: bool,
    /// Names this ensemble answers to; `None` accepts every name (`ensembleAuthName`).
    pub ensemble_names: Option<Vec<String>>,
    /// Schemes of which a client must have an identity; `None` demands none (`enforce.auth.schemes`).
    pub enforced_schemes: Option<Vec<Scheme>>,
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            digest: true,
            digest_algorithm: DigestAlgorithm::Sha1,
            super_digest: None,
            x509: false,
            sasl: false,
            ensemble: false,
            ensemble_names: None,
            enforced_schemes: None,
        }
    }
}

impl AuthOptions {
    /// The scheme of this name, where it exists here.
    // Java: ProviderRegistry.getServerProvider
    pub fn scheme(&self, name: &[u8]) -> Option<Scheme> {
        let scheme = Scheme::from_name(name)?;
        let exists = match scheme {
            Scheme::Ip => true,
            Scheme::Digest => self.digest,
            Scheme::X509 => self.x509,
            Scheme::Sasl => self.sasl,
            Scheme::Ensemble => self.ensemble,
        };
        exists.then_some(scheme)
    }
}

/// What an auth packet leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AuthOutcome {
    /// The connection has these identities too; none is fine.
    Added(Vec<Id>),
    /// To be answered, then the connection ends.
    Failed,
    /// The connection ends without an answer, so that the client tries another server.
    Disconnect,
}

/// Judges an auth packet of a client at `peer`.
// Java: ZooKeeperServer.processPacket, AuthenticationProvider.handleAuthentication
pub(crate) fn authenticate(packet: &AuthPacket, peer: IpAddr, options: &AuthOptions) -> AuthOutcome {
    let auth = packet.auth.as_deref();
    match options.scheme(&packet.scheme) {
        Some(Scheme::Ip) => AuthOutcome::Added(vec![ip_identity(peer)]),
        Some(Scheme::Digest) => auth.map_or(AuthOutcome::Failed, |auth| digest_identities(auth, options)),
        Some(Scheme::Ensemble) => greet_ensemble(auth.unwrap_or_default(), options),
        // Such identities come with the link, not with a packet.
        Some(Scheme::X509 | Scheme::Sasl) | None => AuthOutcome::Failed,
    }
}

fn digest_identities(auth: &[u8], options: &AuthOptions) -> AuthOutcome {
    let text = String::from_utf8_lossy(auth);
    let digest = options.digest_algorithm.identity(&text);
    let mut ids = Vec::with_capacity(2);
    if options.super_digest.as_ref() == Some(&digest) {
        ids.push(Id { scheme: Str::from_static("super"), id: Str::default() });
    }
    ids.push(Id { scheme: Str::from_static("digest"), id: digest.into() });
    AuthOutcome::Added(ids)
}

// Java: EnsembleAuthenticationProvider.handleAuthentication
fn greet_ensemble(name: &[u8], options: &AuthOptions) -> AuthOutcome {
    let known = match &options.ensemble_names {
        Some(names) if !name.is_empty() => names.iter().any(|known| known.as_bytes() == name),
        _ => true,
    };
    if known { AuthOutcome::Added(Vec::new()) } else { AuthOutcome::Disconnect }
}

/// What every connection from this address is from the start; links of one address may share it.
// Java: IPAuthenticationProvider.handleAuthentication
pub fn ip_identities(peer: IpAddr) -> Arc<[Id]> {
    Arc::from([ip_identity(peer)])
}

fn ip_identity(peer: IpAddr) -> Id {
    Id { scheme: Str::from_static("ip"), id: address::text(peer).into() }
}

/// Whether a connection with these identities may send requests.
// Java: AuthenticationHelper.enforceAuthentication
pub(crate) fn is_enough(ids: &[Id], options: &AuthOptions) -> bool {
    options.enforced_schemes.as_ref().is_none_or(|schemes| {
        ids.iter().any(|id| Scheme::from_name(&id.scheme).is_some_and(|scheme| schemes.contains(&scheme)))
    })
}

/// The identities as the client is told of them: without secrets.
// Java: AuthUtil.getClientInfos
pub(crate) fn client_infos(ids: &[Id]) -> Vec<ClientInfo> {
    ids.iter().map(|id| ClientInfo { auth_scheme: id.scheme.clone(), user: user_name(id) }).collect()
}

/// The user an identity stands for, as answers and logs show it; empty for `super`.
// Java: AuthUtil.getUser, AuthenticationProvider.getUserName
pub(crate) fn user_name(id: &Id) -> Str {
    match Scheme::from_name(&id.scheme) {
        Some(Scheme::Digest) => before_colon(&id.id),
        Some(_) => id.id.clone(),
        None => Str::default(),
    }
}

fn before_colon(text: &Str) -> Str {
    let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
    Str::from_bytes(text.clone().into_bytes().slice(..end))
}

/// The ACL a node gets: duplicates dropped, `auth` replaced by the caller's identities, all else checked.
///
/// The outcome of an expansion may hold duplicates again, as in the original.
// Java: PrepRequestProcessor.fixupACL
pub(crate) fn resolve_acl(asked: Vec<Acl>, ids: &[Id], options: &AuthOptions) -> Result<Vec<Acl>, ErrorCode> {
    if let [only] = &asked[..]
        && is_anyone(&only.id)
    {
        return Ok(asked);
    }
    let unique = without_duplicates(asked);
    if unique.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    let mut resolved = Vec::with_capacity(unique.len());
    for entry in unique {
        resolve_entry(entry, ids, options, &mut resolved)?;
    }
    Ok(resolved)
}

fn resolve_entry(entry: Acl, ids: &[Id], options: &AuthOptions, to: &mut Vec<Acl>) -> Result<(), ErrorCode> {
    if is_anyone(&entry.id) {
        to.push(entry);
    } else if entry.id.scheme[..] == *b"auth" {
        let before = to.len();
        let proven = ids.iter().filter(|id| options.scheme(&id.scheme).is_some_and(Scheme::is_proven));
        to.extend(proven.map(|id| Acl { perms: entry.perms, id: id.clone() }));
        if to.len() == before {
            return Err(ErrorCode::InvalidAcl);
        }
    } else {
        let scheme = options.scheme(&entry.id.scheme).ok_or(ErrorCode::InvalidAcl)?;
        if !scheme.is_valid(&entry.id.id) {
            return Err(ErrorCode::InvalidAcl);
        }
        to.push(entry);
    }
    Ok(())
}

fn is_anyone(id: &Id) -> bool {
    id.scheme[..] == *b"world" && id.id[..] == *b"anyone"
}

fn without_duplicates(asked: Vec<Acl>) -> Vec<Acl> {
    let mut unique: Vec<Acl> = Vec::with_capacity(asked.len());
    for entry in asked {
        if !unique.contains(&entry) {
            unique.push(entry);
        }
    }
    unique
}
