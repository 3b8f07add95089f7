//! The identity schemes with a provider, and which ids they allow in an ACL.

/// A scheme that has a provider; `world`, `auth` and `super` have none.
// Java: ProviderRegistry
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The client's address.
    Ip,
    /// A name and the hash of its password.
    Digest,
    /// The subject of the client's certificate.
    X509,
    /// The name a SASL exchange proved.
    Sasl,
    /// No identity: the client names the ensemble it wants.
    Ensemble,
}

impl Scheme {
    /// The scheme of this name, whether or not it exists on this server.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"ip" => Self::Ip,
            b"digest" => Self::Digest,
            b"x509" => Self::X509,
            b"sasl" => Self::Sasl,
            b"ensemble" => Self::Ensemble,
            _ => return None,
        })
    }

    /// Whether an identity of the scheme stands for a proof, so that `auth` in an ACL expands to it.
    // Java: AuthenticationProvider.isAuthenticated
    pub fn is_proven(self) -> bool {
        matches!(self, Self::Digest | Self::X509 | Self::Sasl)
    }

    /// Whether an ACL may hold this id.
    // Java: AuthenticationProvider.isValid
    pub fn is_valid(self, id: &[u8]) -> bool {
        match self {
            Self::Ip => oxherd_tree::ip_acl_is_valid(id),
            Self::Digest => has_two_parts(id),
            Self::X509 => is_distinguished_name(id),
            Self::Sasl => is_kerberos_name(id),
            Self::Ensemble => false,
        }
    }
}

/// Two parts around `:`; empty parts at the end do not count.
// Java: DigestAuthenticationProvider.isValid, String.split
fn has_two_parts(id: &[u8]) -> bool {
    let end = id.iter().rposition(|byte| *byte != b':').map_or(0, |at| at + 1);
    id[..end].iter().filter(|byte| **byte == b':').count() == 1
}

/// `service[/host]@realm`, or anything without `@`.
// Java: KerberosName
fn is_kerberos_name(id: &[u8]) -> bool {
    let mut around_at = id.split(|byte| *byte == b'@');
    let name = around_at.next().unwrap_or_default();
    let Some(realm) = around_at.next() else { return true };
    let slashes = |part: &[u8]| part.iter().filter(|byte| **byte == b'/').count();
    around_at.next().is_none() && slashes(name) <= 1 && slashes(realm) == 0
}

/// `key=value` pairs between commas, semicolons or plus signs; quotes and backslashes protect them.
///
/// The value's syntax is not looked into.
// Java: X500Principal
fn is_distinguished_name(id: &[u8]) -> bool {
    id.trim_ascii().is_empty() || pairs(id).iter().all(|pair| has_key(pair))
}

fn has_key(pair: &[u8]) -> bool {
    let key = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    pair.contains(&b'=') && !key.is_empty() && key.iter().all(is_key)
}

fn pairs(id: &[u8]) -> Vec<&[u8]> {
    let mut pairs = Vec::new();
    let (mut begin, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in id.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b';' | b'+' if !quoted => {
                pairs.push(&id[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    pairs.push(&id[begin..]);
    pairs
}
