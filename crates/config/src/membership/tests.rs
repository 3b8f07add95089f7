use super::*;

#[test]
fn a_member_is_written_back_as_the_original_writes_it() {
    let cases = [
        ("localhost:2888:3888", "localhost:2888:3888:participant"),
        ("h:1:2:Observer", "h:1:2:observer"),
        ("h:1:2;2181", "h:1:2:participant;0.0.0.0:2181"),
        ("h:1:2:participant;c:2181", "h:1:2:participant;c:2181"),
        ("[::1]:1:2;[fe80::1]:3", "[::1]:1:2:participant;[fe80::1]:3"),
        ("b:1:2|a:3:4", "a:3:4|b:1:2:participant"),
        ("a:1:2:observer|b:3:4:observer;5", "a:1:2|b:3:4:observer;0.0.0.0:5"),
    ];
    for (text, want) in cases {
        assert_eq!(Member::parse(text).unwrap().to_string(), want);
    }
}

#[test]
fn what_the_original_refuses_is_refused() {
    let cases = [
        "h",
        "h:1",
        "h:1:1",
        "h:1:2:3:4",
        "h:1:2:king",
        "h:x:2",
        "h:1:70000",
        "h:1:2;a:b:c",
        "h:1:2;x",
        "h:1:2;3;4",
        "[::1:1:2",
        "[::1]:",
        "",
        "a:1:2:observer|b:3:4:participant",
    ];
    for text in cases {
        assert!(Member::parse(text).is_err(), "{text}");
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn groups_and_weights_make_a_hierarchical_quorum() {
    let servers = map(&[("1", "a:1:2"), ("2", "b:1:2"), ("3", "c:1:2:observer")]);
    let membership = Membership::parse(&servers, &map(&[("7", "1:2")]), &map(&[("2", "5")])).unwrap();
    assert_eq!(membership.weight(ServerId(1)), 1);
    let text = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:observer\n\
                group.7=1:2\nweight.1=1\nweight.2=5\nversion=0";
    assert_eq!(membership.to_string(), text);
    assert_eq!(Membership::parse(&servers, &map(&[("7", "1")]), &map(&[])).unwrap_err().0, "server.2");
    assert_eq!(Membership::parse(&servers, &map(&[("7", "1:2:1")]), &map(&[])).unwrap_err().0, "group.7");
    assert_eq!(Membership::parse(&map(&[("x", "a:1:2")]), &map(&[]), &map(&[])).unwrap_err().0, "server.x");
}
