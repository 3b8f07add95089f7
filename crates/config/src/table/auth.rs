//! Keys of authentication, access control and the audit log.

use std::collections::BTreeMap;

use super::section;

section! {
    /// Who may do what.
    Auth {
        /// Additional authentication providers by name; the value is the original's class name.
        providers: BTreeMap<String, String> = "authProvider.*", Property, M, Security, "";
        /// The digest scheme is offered.
        digest_enabled: bool = "DigestAuthenticationProvider.enabled", Property, M, Honoured, "true";
        /// `user:base64` digest whose owner passes every check.
        super_digest: Option<String> = "DigestAuthenticationProvider.superDigest", Property, M, Honoured, "";
        /// Hash of the digest scheme.
        digest_algorithm: String = "DigestAuthenticationProvider.digestAlg", Property, A, Honoured, "SHA1";
        /// Distinguished name of the certificate that passes every check.
        x509_super_user: Option<String> = "X509AuthenticationProvider.superUser", Property, A, Security, "";
        /// The admin server takes the client address from the forwarded-for header.
        forwarded_for: bool = "IPAuthenticationProvider.usexforwardedfor", Property, A, Http, "false";
        /// SASL user that passes every check.
        super_user: Option<String> = "superUser", Property, A, Security, "";
        /// More SASL users that pass every check.
        super_users: BTreeMap<String, String> = "superUser.*", Property, A, Security, "";
        /// Password of the SASL user `super`.
        super_password: Option<String> = "SASLAuthenticationProvider.superPassword", Property, A, Security, "";
        /// ACL id that is open to every SASL user.
        any_sasl_user: Option<String> = "letAnySaslUserDoX", Property, A, Security, "";
        /// Keep connections whose SASL exchange failed.
        allow_failed_sasl: bool = "allowSaslFailedClients", Property, A, Security, "false";
        /// A session needs SASL before its first operation.
        require_sasl: bool = "sessionRequireClientSASLAuth", Property, M, Honoured, "false";
        /// A session needs one of the schemes below before its first operation.
        enforce: bool = "enforce.auth.enabled", Property, M, Honoured, "false";
        /// Comma list of schemes of which one is needed.
        enforce_schemes: Option<String> = "enforce.auth.schemes", Property, M, Honoured, "";
        /// Comma list of names by which clients can check that they reached the right ensemble.
        ensemble_names: Option<String> = "ensembleAuthName", Property, A, Honoured, "";
        /// Serve although keys ask for TLS or SASL, which do not exist here yet.
        allow_plain: bool = "allowPlain", Property, M, Honoured, "false";
        /// No access check at all.
        skip_acl: bool = "skipACL", Property, M, Honoured, "no";
        /// A member checks access before it proposes or forwards a write.
        eager_acl_check: bool = "enableEagerACLCheck", Property, A, Honoured, "false";
        /// JAAS section of the server.
        sasl_section: String = "sasl.serverconfig", Property, A, Security, "Server";
        /// Kerberos names without their host part.
        kerberos_remove_host: bool = "kerberos.removeHostFromPrincipal", Property, A, Security, "false";
        /// Kerberos names without their realm.
        kerberos_remove_realm: bool = "kerberos.removeRealmFromPrincipal", Property, A, Security, "false";
        /// Rules that map Kerberos principals to names.
        auth_to_local: String = "security.auth_to_local", Property, A, Security, "DEFAULT";
        /// Only approved cryptography: no DIGEST-MD5, no trust manager of our own.
        fips: bool = "fips-mode", Property, M, Security, "true";
        /// Log every change by a client with who made it, under the log target `audit`.
        audit: bool = "audit.enable", Property, M, Honoured, "false";
    }
}
