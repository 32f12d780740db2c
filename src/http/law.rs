//! Laws of a request's head.

use crate::http::intake::{Phase, look_over, method_and_path};

/// What is let in has one end, and what stands behind its head does not change where that is. Its
/// body is waited for where a call reads it, and its sender waits for no word before it.
pub fn head(bytes: &[u8]) {
    let is_whole = |bytes: &[u8]| {
        bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|end| end == b"\n\r\n")
    };
    let (method, path) = method_and_path(bytes);
    // It is only looked over once it has a blank line, and blank lines before it are passed over.
    if !is_whole(bytes) || bytes.starts_with(b"\r") || bytes.starts_with(b"\n") {
        return;
    }
    let phase = look_over(bytes);
    let hidden = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(look_over(&[bytes, hidden].concat()), phase);
    let Ok(phase) = phase else { return };
    let (mut lengths, mut codings, mut expects, mut head) = (Vec::new(), 0, 0, 0);
    for (place, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        head += line.len();
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|b| *b == b':').filter(|_| place > 0);
        let (name, value) = line.split_at(colon.unwrap_or(0));
        match name.to_ascii_lowercase().as_slice() {
            b"content-length" => lengths.push(value[1..].trim_ascii().to_vec()),
            b"transfer-encoding" => codings += 1,
            b"expect" => expects += 1,
            _ => {}
        }
    }
    match phase {
        Phase::PassingLast => assert!(codings == 1 && lengths.is_empty()),
        Phase::Body { length: whole } | Phase::Passing { left: whole } => {
            assert!(codings == 0 && lengths.len() <= 1);
            let length = lengths.pop().map_or(0, |length| {
                let length = String::from_utf8(length).expect("digits");
                length.parse::<usize>().expect("a number")
            });
            assert_eq!(whole, head + length);
            let is_waited_for = ["POST", "PUT"].contains(&&*method) && expects == 0;
            assert_eq!(matches!(phase, Phase::Body { .. }), is_waited_for);
        }
        Phase::Head | Phase::Answering | Phase::Closed => panic!("it is not looked over yet"),
    }
    let line = bytes.split(|b| matches!(b, b'\r' | b'\n')).next().expect("a first line");
    let target = line.split(|b| *b == b' ').nth(1).expect("a target");
    let uri = str::from_utf8(target).expect("it was let in").parse::<hyper::Uri>();
    let uri = uri.unwrap_or_else(|e| panic!("it was let in: {e}"));
    // Of an authority alone, and of a host without a path, neither is a call's.
    if uri.path().len() > 1 {
        assert_eq!((path.as_ref(), method.is_empty()), (uri.path(), false));
    }
}
