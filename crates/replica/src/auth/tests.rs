//! Identities and the ACLs that name them.

use super::*;

fn id(scheme: &str, id: &str) -> Id {
    Id { scheme: scheme.into(), id: id.into() }
}

fn entry(perms: i32, scheme: &str, of: &str) -> Acl {
    Acl { perms, id: id(scheme, of) }
}

fn packet(scheme: &str, auth: Option<&'static str>) -> AuthPacket {
    AuthPacket { kind: 0, scheme: scheme.into(), auth: auth.map(Into::into) }
}

fn judge(scheme: &str, auth: Option<&'static str>, options: &AuthOptions) -> AuthOutcome {
    authenticate(&packet(scheme, auth), IpAddr::from([10, 0, 0, 7]), options)
}

#[test]
fn a_password_becomes_a_hash_and_the_right_one_makes_super() {
    let hash = "user:2Om+GBbT2q/tS6pdvACZbbm7/1A=";
    let mut options = AuthOptions::default();
    let plain = AuthOutcome::Added(vec![id("digest", hash)]);
    assert_eq!(judge("digest", Some("user:pw"), &options), plain);
    options.super_digest = Some(hash.to_owned());
    assert_eq!(
        judge("digest", Some("user:pw"), &options),
        AuthOutcome::Added(vec![id("super", ""), id("digest", hash)])
    );
    assert_eq!(judge("digest", None, &options), AuthOutcome::Failed);
    options.digest = false;
    assert_eq!(judge("digest", Some("user:pw"), &options), AuthOutcome::Failed);
}

#[test]
fn the_hash_can_be_chosen() {
    let of = |name: &str| DigestAlgorithm::from_name(name).map(|algorithm| algorithm.identity("user:pw"));
    assert_eq!(of("sha-256").as_deref(), Some("user:Fh8MmK6jIxqd61iqgh3Q7UZ5AQo6NbHt+ZWIwPHmup4="));
    let sha512 =
        "user:bxuaEbeoHON6HbuCrnA/gB8aYah2KRHyD2q5whekPmB6+BuOzxIr/1zj+fA8dbkGNlWblYgcL1Riuu4O7ljjKg==";
    assert_eq!(of("SHA-512").as_deref(), Some(sha512));
    assert_eq!(of("SHA1"), of("SHA"));
    assert_eq!(of("ROT13"), None);
}

#[test]
fn schemes_without_a_proof_in_the_packet_fail() {
    let options = AuthOptions { x509: true, sasl: true, ..AuthOptions::default() };
    for scheme in ["x509", "sasl", "world", "auth", "super", "ensemble", "nonsense", ""] {
        assert_eq!(judge(scheme, Some("a:b"), &options), AuthOutcome::Failed, "{scheme}");
    }
    assert_eq!(judge("ip", None, &options), AuthOutcome::Added(vec![id("ip", "10.0.0.7")]));
}

#[test]
fn a_client_of_another_ensemble_is_sent_away() {
    let mut options = AuthOptions { ensemble: true, ..AuthOptions::default() };
    let fine = AuthOutcome::Added(vec![]);
    assert_eq!(judge("ensemble", Some("theirs"), &options), fine, "no name is set");
    options.ensemble_names = Some(vec!["ours".to_owned(), "also ours".to_owned()]);
    assert_eq!(judge("ensemble", Some("also ours"), &options), fine);
    assert_eq!(judge("ensemble", Some(""), &options), fine);
    assert_eq!(judge("ensemble", None, &options), fine);
    assert_eq!(judge("ensemble", Some("theirs"), &options), AuthOutcome::Disconnect);
}

#[test]
fn addresses_read_as_in_java() {
    let rows = [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("2001:DB8::ff00:42:8329", "2001:db8:0:0:0:ff00:42:8329"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
    ];
    for (address, text) in rows {
        assert_eq!(ip_identity(address.parse().unwrap()), id("ip", text));
    }
}

#[test]
fn demanded_schemes_are_demanded() {
    let ids = [id("ip", "10.0.0.7"), id("digest", "a:b")];
    let demanding = |schemes: &[Scheme]| AuthOptions {
        enforced_schemes: Some(schemes.to_vec()),
        ..AuthOptions::default()
    };
    assert!(is_enough(&ids, &AuthOptions::default()));
    assert!(is_enough(&ids, &demanding(&[Scheme::Sasl, Scheme::Digest])));
    assert!(!is_enough(&ids[..1], &demanding(&[Scheme::Sasl, Scheme::Digest])));
}

#[test]
fn an_acl_is_resolved_entry_by_entry() {
    let options = AuthOptions::default();
    let ids = [id("ip", "10.0.0.7"), id("digest", "a:b"), id("super", ""), id("digest", "c:d")];
    let resolve = |asked: Vec<Acl>| resolve_acl(asked, &ids, &options);
    let anyone = entry(1, "world", "anyone");
    assert_eq!(resolve(vec![anyone.clone(), anyone.clone()]), Ok(vec![anyone.clone()]), "once is enough");
    let other_perms = entry(2, "world", "anyone");
    assert_eq!(resolve(vec![anyone.clone(), other_perms.clone()]), Ok(vec![anyone, other_perms]));
    assert_eq!(
        resolve(vec![entry(31, "auth", "whatever"), entry(31, "digest", "a:b")]),
        Ok(vec![entry(31, "digest", "a:b"), entry(31, "digest", "c:d"), entry(31, "digest", "a:b")]),
        "an expansion may repeat what is there"
    );
    for refused in [
        vec![],
        vec![entry(31, "world", "someone")],
        vec![entry(31, "super", "")],
        vec![entry(31, "sasl", "alice")],
        vec![entry(31, "world", "anyone"), entry(31, "digest", "no-colon")],
    ] {
        assert_eq!(resolve(refused.clone()), Err(ErrorCode::InvalidAcl), "{refused:?}");
    }
    assert_eq!(resolve_acl(vec![entry(31, "auth", "")], &ids[..1], &options), Err(ErrorCode::InvalidAcl));
}

#[test]
fn each_scheme_knows_its_ids() {
    let rows: [(Scheme, &[&str], &[&str]); 5] = [
        (Scheme::Digest, &["a:b", ":b", "a:b:", "a:b::"], &["", ":", "::", "a", "a:", "a::b", "a:b:c"]),
        (
            Scheme::Ip,
            &["1.2.3.4", "1.2.3.4/0", "1.2.3.4/32", "::1", "::", "1::", "fe80::1/64", "1:2:3:4:5:6:7:8/128"],
            &[
                "",
                "1.2.3",
                "1.2.3.4.5",
                "1.2.3.256",
                "1.2.3.4/33",
                "1.2.3.4/-1",
                "1.2.3.4/",
                "1.2.3.4/a",
                "a",
                "1:2:3:4:5:6:7",
                "1::2::3",
                "1:2:3:4::5:6:7:8",
                "12345::",
                "g::",
                ":::",
                "::1/129",
            ],
        ),
        (
            Scheme::Sasl,
            &["alice", "alice@REALM", "zk/host@REALM", "a/b/c", ""],
            &["a@b@c", "a/b/c@REALM", "a@b/c"],
        ),
        (
            Scheme::X509,
            &["CN=a", "CN=a, O=\"b, c\"", "2.5.4.3=a+OU=b", "CN=a\\,b", ""],
            &["a", "CN=a,b", "=a"],
        ),
        (Scheme::Ensemble, &[], &["", "ours"]),
    ];
    for (scheme, valid, invalid) in rows {
        for id in valid {
            assert!(scheme.is_valid(id.as_bytes()), "{scheme:?} {id:?}");
        }
        for id in invalid {
            assert!(!scheme.is_valid(id.as_bytes()), "{scheme:?} {id:?}");
        }
    }
}

#[test]
fn listings_hide_secrets() {
    let infos = client_infos(&[
        id("ip", "10.0.0.7"),
        id("digest", "user:hash="),
        id("super", ""),
        id("x509", "CN=a"),
    ]);
    let users: Vec<_> = infos.iter().map(|info| info.user.to_text()).collect();
    assert_eq!(users, ["10.0.0.7", "user", "", "CN=a"]);
}
