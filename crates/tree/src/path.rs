//! Path rules.

use thiserror::Error;

/// The node that holds the quota nodes.
pub(crate) const QUOTA: &[u8] = b"/zookeeper/quota";
/// The node that holds the membership.
pub(crate) const CONFIG: &[u8] = b"/zookeeper/config";
/// The node of the server's own nodes.
pub(crate) const ZOOKEEPER: &[u8] = b"/zookeeper";

/// Why a path cannot name a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// It has no bytes.
    #[error("a path is never empty")]
    Empty,
    /// It does not begin at the root.
    #[error("a path begins with /")]
    NotAbsolute,
    /// It ends with a slash and is not the root.
    #[error("a path does not end with /")]
    TrailingSlash,
    /// Two slashes follow each other.
    #[error("a node name is empty")]
    EmptyName,
    /// A component is `.` or `..`.
    #[error("a node is not called . or ..")]
    Relative,
    /// A control, private, surrogate or other forbidden character, or bytes that are not UTF-8.
    #[error("a node name holds a forbidden character")]
    Character,
}

/// Checks a path as creates and writes do; reads and deletes check less.
// Java: PathUtils.validatePath
pub fn validate_path(path: &[u8]) -> Result<(), PathError> {
    match path {
        [] => return Err(PathError::Empty),
        b"/" => return Ok(()),
        [b'/', .., b'/'] => return Err(PathError::TrailingSlash),
        [b'/', ..] => {}
        _ => return Err(PathError::NotAbsolute),
    }
    path[1..].split(|byte| *byte == b'/').try_for_each(validate_name)
}

fn validate_name(name: &[u8]) -> Result<(), PathError> {
    match name {
        b"" => Err(PathError::EmptyName),
        b"." | b".." => Err(PathError::Relative),
        _ if name.iter().all(|byte| matches!(byte, 0x20..=0x7e)) => Ok(()),
        _ => {
            let text = str::from_utf8(name).map_err(|_| PathError::Character)?;
            if text.chars().any(is_forbidden) { Err(PathError::Character) } else { Ok(()) }
        }
    }
}

/// Characters above U+FFFF are two surrogates to the original, which it refuses.
fn is_forbidden(character: char) -> bool {
    matches!(u32::from(character), 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..)
}

/// The path of the node above; `None` for the root and for what is no absolute path.
pub fn parent(path: &[u8]) -> Option<&[u8]> {
    let (parent, _) = split(path)?;
    Some(if parent.is_empty() { b"/" } else { parent })
}

/// The last component; `None` for the root and for what is no absolute path.
pub fn name(path: &[u8]) -> Option<&[u8]> {
    split(path).map(|(_, name)| name)
}

/// Parent and name, the root as parent being the empty path.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() < 2 || path[0] != b'/' {
        return None;
    }
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_a_path() {
        let cases: &[(&str, Result<(), PathError>)] = &[
            ("/", Ok(())),
            ("/a", Ok(())),
            ("/a/b..c/...", Ok(())),
            ("/grün/日本", Ok(())),
            ("", Err(PathError::Empty)),
            ("a", Err(PathError::NotAbsolute)),
            ("/a/", Err(PathError::TrailingSlash)),
            ("//", Err(PathError::TrailingSlash)),
            ("/a//b", Err(PathError::EmptyName)),
            ("/a/./b", Err(PathError::Relative)),
            ("/a/..", Err(PathError::Relative)),
            ("/a\0b", Err(PathError::Character)),
            ("/a\u{1}", Err(PathError::Character)),
            ("/a\u{7f}", Err(PathError::Character)),
            ("/a\u{9f}", Err(PathError::Character)),
            ("/a\u{a0}", Ok(())),
            ("/\u{e000}", Err(PathError::Character)),
            ("/\u{f900}", Ok(())),
            ("/\u{ffef}", Ok(())),
            ("/\u{fffd}", Err(PathError::Character)),
            ("/\u{1f600}", Err(PathError::Character)),
        ];
        for (path, expected) in cases {
            assert_eq!(validate_path(path.as_bytes()), *expected, "{path:?}");
        }
        assert_eq!(validate_path(b"/\xff"), Err(PathError::Character));
    }

    #[test]
    fn parents_and_names() {
        assert_eq!(parent(b"/a/b"), Some(&b"/a"[..]));
        assert_eq!(parent(b"/a"), Some(&b"/"[..]));
        assert_eq!(parent(b"/"), None);
        assert_eq!(parent(b""), None);
        assert_eq!(name(b"/a/b"), Some(&b"b"[..]));
        assert_eq!(name(b"x"), None);
    }
}
