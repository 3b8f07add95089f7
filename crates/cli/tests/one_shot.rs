//! One-shot runs of the shell against a server that answers from a script.
//!
//! The server knows just enough of the protocol to answer one session: the handshake, reads of one
//! node, a failure for every other path, and the close. What the shell prints is compared by its
//! exit codes here; the shapes of its output have tests beside the code that makes them.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread::{self, JoinHandle};

use oxherd_proto::{
    ConnectReply, ErrorCode, FrameReader, GetDataRequest, GetDataResponse, Jute, OpCode, RequestHeader,
    SessionId, Stat, Zxid, begin_frame, end_frame, reply_header,
};

/// Serves one session and answers what it was asked, by operation.
fn serve_once() -> (String, JoinHandle<Vec<OpCode>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    (address, thread::spawn(move || serve(listener.accept().expect("a client").0)))
}

fn serve(mut stream: TcpStream) -> Vec<OpCode> {
    let mut frames = FrameReader::default();
    let mut asked = Vec::new();
    let mut greeted = false;
    let mut bytes = [0; 4096];
    loop {
        let len = stream.read(&mut bytes).unwrap_or(0);
        if len == 0 {
            return asked;
        }
        frames.push(&bytes[..len]);
        while let Some(frame) = frames.poll_frame(1 << 20).expect("the client frames what it sends") {
            let mut out = Vec::new();
            let at = begin_frame(&mut out);
            if greeted {
                asked.push(answer(frame, &mut out));
            } else {
                greeted = true;
                let reply = ConnectReply { timeout_ms: 6000, session: SessionId(5), ..Default::default() };
                reply.encode(&mut out);
            }
            end_frame(&mut out, at);
            stream.write_all(&out).expect("the client reads");
        }
    }
}

fn answer(frame: bytes::Bytes, out: &mut Vec<u8>) -> OpCode {
    let header = RequestHeader::from_bytes(frame.clone()).expect("a header");
    let op = OpCode::from_code(header.kind).expect("a known operation");
    let known = op == OpCode::GetData
        && GetDataRequest::from_bytes(frame.slice(8..)).is_ok_and(|request| &*request.path == b"/app/a");
    let failed = op != OpCode::CloseSession && !known;
    let error = if failed { ErrorCode::NoNode } else { ErrorCode::Ok };
    reply_header(header.xid, Zxid(3), error, out);
    if known {
        let data = Some(bytes::Bytes::from_static(b"data"));
        GetDataResponse { data, stat: Stat::default() }.encode(out);
    }
    op
}

/// Runs the shell; whether it succeeded with `exit`, and what the server was asked.
fn run(options: &[&str], command: &[&str], exit: u8) -> Vec<OpCode> {
    let (address, server) = serve_once();
    let servers = format!("{address}/app");
    let args =
        ["-server", &servers].into_iter().chain(options.iter().copied()).chain(command.iter().copied());
    let code = oxherd_cli::main(args.map(OsString::from));
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(exit)), "{command:?}");
    server.join().expect("the server ends with its client")
}

#[test]
fn a_read_below_the_chroot_succeeds_and_the_session_is_closed() {
    assert_eq!(run(&[], &["get", "-s", "/a"], 0), [OpCode::GetData, OpCode::CloseSession]);
    assert_eq!(run(&["--json"], &["get", "/a"], 0), [OpCode::GetData, OpCode::CloseSession]);
}

#[test]
fn a_failed_command_exits_with_1() {
    assert_eq!(run(&[], &["get", "/missing"], 1), [OpCode::GetData, OpCode::CloseSession]);
    assert_eq!(run(&["--json"], &["delete", "/missing"], 1), [OpCode::Delete, OpCode::CloseSession]);
}

#[test]
fn a_command_that_is_wrong_by_itself_asks_the_server_nothing() {
    for (command, exit) in
        [(&["gett", "/a"][..], 127), (&["get"], 1), (&["get", "a"], 1), (&["ls", "-q", "/"], 1)]
    {
        assert_eq!(run(&["-waitforconnection"], command, exit), [OpCode::CloseSession]);
    }
}

#[test]
fn options_that_cannot_be_used_exit_with_2_before_anything_is_connected() {
    for args in [&["-server"][..], &["-bogus"], &["-client-configuration", "/no/such/file", "ls", "/"]] {
        let code = oxherd_cli::main(args.iter().map(OsString::from));
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)), "{args:?}");
    }
}

#[test]
fn a_port_where_nobody_listens_is_a_lost_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let code = oxherd_cli::main(["-server", &address, "ls", "/"].into_iter().map(OsString::from));
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(1)));
}
