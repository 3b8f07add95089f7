//! Keys of TLS: one set of suffixes for the client port, one for peers and the admin server.

use std::path::PathBuf;

use super::section;

macro_rules! tls {
    ($(#[$meta:meta])* $name:ident, $prefix:literal, $client_names:literal { $($more:tt)* }) => {
        section! {
            $(#[$meta])*
            $name {
                /// Protocol of the TLS context.
                protocol: Option<String> = concat!($prefix, "protocol"), Property, M, Security, "";
                /// Comma list of protocol versions.
                enabled_protocols: Option<String> = concat!($prefix, "enabledProtocols"), Property, M, Security, "";
                /// Comma list of cipher suites.
                cipher_suites: Option<String> = concat!($prefix, "ciphersuites"), Property, M, Security, "";
                /// File with our certificate and key.
                key_store: Option<PathBuf> = concat!($prefix, "keyStore.location"), Property, M, Security, "";
                /// Password of the key store.
                key_store_password: Option<String> = concat!($prefix, "keyStore.password"), Property, M, Security, "";
                /// File with the password of the key store; wins over the password.
                key_store_password_path: Option<PathBuf> = concat!($prefix, "keyStore.passwordPath"), Property, M, Security, "";
                /// JKS, PEM, PKCS12 or BCFKS; absent means by file name.
                key_store_type: Option<String> = concat!($prefix, "keyStore.type"), Property, M, Security, "";
                /// File with the certificates we trust.
                trust_store: Option<PathBuf> = concat!($prefix, "trustStore.location"), Property, M, Security, "";
                /// Password of the trust store.
                trust_store_password: Option<String> = concat!($prefix, "trustStore.password"), Property, M, Security, "";
                /// File with the password of the trust store; wins over the password.
                trust_store_password_path: Option<PathBuf> = concat!($prefix, "trustStore.passwordPath"), Property, M, Security, "";
                /// JKS, PEM, PKCS12 or BCFKS; absent means by file name.
                trust_store_type: Option<String> = concat!($prefix, "trustStore.type"), Property, M, Security, "";
                /// Check host names of servers.
                verify_hosts: bool = concat!($prefix, "hostnameVerification"), Property, M, Security, "true";
                /// Check host names of clients.
                verify_client_hosts: bool = concat!($prefix, "clientHostnameVerification"), Property, A, Security, $client_names;
                /// Look host names up by address when they are checked.
                reverse_lookup: bool = concat!($prefix, "allowReverseDnsLookup"), Property, A, Security, "false";
                /// Use revocation lists.
                crl: bool = concat!($prefix, "crl"), Property, A, Security, "false";
                /// Ask for revocation by OCSP.
                ocsp: bool = concat!($prefix, "ocsp"), Property, A, Security, "false";
                /// Certificates of the other side: none, want or need.
                client_auth: Option<String> = concat!($prefix, "clientAuth"), Property, M, Security, "";
                /// Milliseconds to tell TLS from plain on a port that takes both.
                detection_ms: i32 = concat!($prefix, "handshakeDetectionTimeoutMillis"), Property, A, Security, "5000";
                $($more)*
            }
        }
    };
}

tls! {
    /// TLS of the client port.
    TlsClient, "ssl.", "false" {
        /// Scheme that authenticates TLS clients.
        auth_provider: String = "ssl.authProvider", Property, A, Security, "x509";
    }
}

tls! {
    /// TLS between peers and of the admin server.
    TlsQuorum, "ssl.quorum.", "true" {}
}
