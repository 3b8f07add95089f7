//! Properties of every record: what is written is read again, and nothing read can hurt.

use bytes::Bytes;
use oxherd_proto::*;
use proptest::prelude::*;

/// Runs `$check::<T>($arg)` for every record of the table.
macro_rules! every_record {
    ($check:ident($arg:expr); $($ty:ident)*) => {{
        $($check::<$ty>($arg);)*
        assert_eq!(SCHEMA.len(), [$(stringify!($ty)),*].len(), "every record of the table is named here");
    }};
    ($check:ident($arg:expr)) => {
        every_record!($check($arg);
            Id Acl Stat StatPersisted ClientInfo SetWatches SetWatches2 RequestHeader MultiHeader AuthPacket
            ReplyHeader GetDataRequest SetDataRequest ReconfigRequest SetDataResponse GetSASLRequest
            SetSASLResponse CreateRequest CreateTTLRequest DeleteRequest GetChildrenRequest
            GetAllChildrenNumberRequest GetChildren2Request CheckVersionRequest SyncRequest SyncResponse
            GetACLRequest SetACLRequest SetACLResponse AddWatchRequest WatcherEvent ErrorResponse
            CreateResponse Create2Response ExistsRequest ExistsResponse GetDataResponse GetChildrenResponse
            GetAllChildrenNumberResponse GetChildren2Response GetACLResponse CheckWatchesRequest
            RemoveWatchesRequest GetEphemeralsRequest GetEphemeralsResponse WhoAmIResponse FileHeader
            TxnDigest TxnHeader CreateTxn CreateTTLTxn CreateContainerTxn DeleteTxn SetDataTxn
            CheckVersionTxn SetACLTxn CreateSessionTxn CloseSessionTxn ErrorTxn)
    };
}

/// Random choices, taken one byte after the other; zeros when they run out.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }
}

/// Writes a valid encoding of the record named `kind`, as the schema has it.
fn write_value(kind: &str, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    match kind {
        "int" => (0..4).for_each(|_| out.push(choices.byte())),
        "long" => (0..8).for_each(|_| out.push(choices.byte())),
        "boolean" => out.push(choices.byte() % 2),
        "buffer" if choices.byte() < 64 => (-1i32).encode(out),
        "buffer" | "ustring" => {
            let len = i32::from(choices.byte() % 9);
            len.encode(out);
            (0..len).for_each(|_| out.push(choices.byte()));
        }
        record => {
            let schema = SCHEMA.iter().find(|r| r.name == record).expect("a record of the table");
            schema.fields.iter().for_each(|field| write_field(field, choices, out));
        }
    }
}

fn write_field(field: &FieldSchema, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    if !field.vector {
        return write_value(field.kind, choices, out);
    }
    let count = i32::from(choices.byte() % 4);
    count.encode(out);
    (0..count).for_each(|_| write_value(field.kind, choices, out));
}

fn survives<T: Jute + PartialEq + std::fmt::Debug>(seed: &[u8]) {
    let mut bytes = Vec::new();
    write_value(T::TYPE, &mut Choices(seed), &mut bytes);
    let mut input = Input::new(Bytes::copy_from_slice(&bytes));
    let value = T::decode(&mut input).expect("a valid encoding decodes");
    assert_eq!(input.remaining(), 0, "{} reads all of its bytes", T::TYPE);
    assert_eq!(value.to_vec(), bytes, "{} writes what it read", T::TYPE);
    assert!(bytes.len() >= T::LEN_MIN);
    for cut in 0..bytes.len() {
        let cut_short = T::from_bytes(Bytes::copy_from_slice(&bytes[..cut]));
        assert!(cut_short.is_err(), "{} cut to {cut} of {} bytes is refused", T::TYPE, bytes.len());
    }
}

/// Whatever can be read from any bytes can be written and read again, with no more elements than bytes came.
fn bears<T: Jute + PartialEq + std::fmt::Debug>(bytes: &Bytes) {
    if let Ok(value) = T::from_bytes(bytes.clone()) {
        assert_eq!(T::from_bytes(value.to_vec().into()).as_ref(), Ok(&value));
        assert!(value.to_vec().len() <= bytes.len());
    }
}

/// Puts the largest count into every place where four bytes fit.
fn bears_huge_lengths<T: Jute + PartialEq + std::fmt::Debug>(seed: &[u8]) {
    let mut bytes = Vec::new();
    write_value(T::TYPE, &mut Choices(seed), &mut bytes);
    for at in 0..bytes.len().saturating_sub(3) {
        for claim in [i32::MAX, i32::MIN, -2] {
            let mut bad = bytes.clone();
            bad[at..at + 4].copy_from_slice(&claim.to_be_bytes());
            bears::<T>(&bad.into());
        }
    }
}

fn bears_everything_else(bytes: &Bytes) {
    if let Ok(txn) = decode_txn(bytes.clone()) {
        let again = encode_txn(&txn.header, &txn.record, txn.digest.as_ref());
        assert_eq!(decode_txn(again.into()), Ok(txn));
    }
    for decode in [decode_multi, decode_multi_read] {
        if let Ok(ops) = decode(bytes.clone()) {
            let mut out = Vec::new();
            encode_multi(&ops, &mut out);
            assert_eq!(decode(out.into()), Ok(ops));
        }
    }
    if let Ok(results) = decode_multi_results(bytes.clone()) {
        let mut out = Vec::new();
        encode_multi_results(&results, &mut out);
        assert_eq!(decode_multi_results(out.into()).map(|again| again.len()), Ok(results.len()));
    }
    if let Ok(request) = ConnectRequest::decode(bytes.clone()) {
        let mut out = Vec::new();
        request.encode(&mut out);
        assert_eq!(ConnectRequest::decode(out.into()), Ok(request));
    }
    let _ = ConnectReply::decode(bytes.clone());
    let _ = LearnerInfo::decode(bytes.clone());
    let _ = Notification::decode(bytes.clone());
    let _ = ElectionHello::decode(&mut Input::new(bytes.clone()));
    bears::<QuorumPacket>(bytes);
}

fn golden() -> impl Strategy<Value = Vec<u8>> {
    let texts = [include_str!("data/client_session.hex"), include_str!("data/txn_log.hex")];
    let frames: Vec<Vec<u8>> = texts
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.split_once(' ').filter(|(tag, _)| tag.len() == 1 && *tag != "#"))
        .map(|(_, hex)| {
            (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits"))
                .collect()
        })
        .collect();
    proptest::sample::select(frames)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn every_record_survives_the_round_trip(seed in prop::collection::vec(any::<u8>(), 0..200)) {
        every_record!(survives(&seed));
    }

    #[test]
    fn no_record_minds_random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        every_record!(bears(&bytes));
        bears_everything_else(&bytes);
    }

    #[test]
    fn no_record_minds_huge_lengths(seed in prop::collection::vec(any::<u8>(), 0..60)) {
        every_record!(bears_huge_lengths(&seed));
    }

    #[test]
    fn no_decoder_minds_a_damaged_frame(
        frame in golden(), at in any::<prop::sample::Index>(), byte in any::<u8>(), skip in 0usize..13,
    ) {
        let mut frame = frame;
        let at = at.index(frame.len());
        frame[at] = byte;
        let frame = Bytes::from(frame);
        bears_everything_else(&frame);
        bears_everything_else(&frame.slice(..at));
        bears_everything_else(&frame.slice(skip.min(frame.len())..));
    }

    #[test]
    fn packets_survive_the_round_trip(
        kind in 1i32..20, zxid in any::<i64>(), data in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        ids in prop::option::of(prop::collection::vec(("[a-z]{0,6}", "[a-z]{0,6}"), 0..4)),
    ) {
        let authinfo = ids.map(|ids| {
            ids.into_iter().map(|(scheme, id)| Id { scheme: scheme.into(), id: id.into() }).collect()
        });
        let kind = PacketType::from_code(kind).expect("19 types");
        let packet = QuorumPacket { kind, zxid: Zxid(zxid), data: data.map(Bytes::from), authinfo };
        prop_assert_eq!(QuorumPacket::from_bytes(packet.to_vec().into()), Ok(packet));
    }

    #[test]
    fn votes_survive_the_round_trip(
        leader in any::<i64>(), zxid in any::<i64>(), round in any::<i64>(), epoch in any::<i64>(),
    ) {
        let vote = Notification {
            state: PeerState::Leading,
            leader: ServerId(leader),
            zxid: Zxid(zxid),
            election_epoch: round,
            peer_epoch: Epoch(epoch),
            version: Notification::VERSION,
            config: Some("server.1=a:1:2".into()),
        };
        prop_assert_eq!(Notification::decode(vote.to_bytes()), Ok(vote));
    }
}

#[test]
fn a_count_is_compared_with_the_bytes_that_follow() {
    let mut bytes = Vec::new();
    i32::MAX.encode(&mut bytes);
    bytes.extend_from_slice(&[0; 64]);
    let claimed = DecodeError::Length(i64::from(i32::MAX));
    assert_eq!(Vec::<Str>::from_bytes(bytes.clone().into()), Err(claimed));
    let truncated = DecodeError::Truncated { needed: 0x7fff_ffff, left: 64 };
    assert_eq!(<Str as Jute>::from_bytes(bytes.into()), Err(truncated));
}

#[test]
fn a_null_id_in_an_acl_reads_as_empty() {
    let mut bytes = Acl { perms: 31, id: Id { scheme: "auth".into(), id: Str::default() } }.to_vec();
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&(-1i32).to_be_bytes());
    let acl = Acl::from_bytes(bytes.into()).expect("as the Java client and kazoo send it");
    assert_eq!(acl.id, Id { scheme: "auth".into(), id: Str::default() });
}
