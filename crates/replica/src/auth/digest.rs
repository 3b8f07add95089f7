//! Identities made of a name and a hash of the password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_256};

/// The hash behind `digest` identities; all members of an ensemble and all its ACLs use the same.
// Java: DigestAuthenticationProvider.digestAlg
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// `SHA1`.
    #[default]
    Sha1,
    /// `SHA-224`.
    Sha224,
    /// `SHA-256`.
    Sha256,
    /// `SHA-384`.
    Sha384,
    /// `SHA-512`.
    Sha512,
    /// `SHA-512/256`.
    Sha512To256,
}

impl DigestAlgorithm {
    /// The algorithm of this name; case does not matter, as in the original's platform.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "SHA" | "SHA1" | "SHA-1" => Self::Sha1,
            "SHA224" | "SHA-224" => Self::Sha224,
            "SHA256" | "SHA-256" => Self::Sha256,
            "SHA384" | "SHA-384" => Self::Sha384,
            "SHA512" | "SHA-512" => Self::Sha512,
            "SHA512/256" | "SHA-512/256" => Self::Sha512To256,
            _ => return None,
        })
    }

    /// `user:base64(hash("user:password"))` for `user:password`.
    // Java: DigestAuthenticationProvider.generateDigest
    pub fn identity(self, user_password: &str) -> String {
        let user = user_password.split_once(':').map_or(user_password, |(user, _)| user);
        format!("{user}:{}", STANDARD.encode(self.hash(user_password.as_bytes())))
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha224 => Sha224::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
            Self::Sha512To256 => Sha512_256::digest(bytes).to_vec(),
        }
    }
}
