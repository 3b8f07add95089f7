//! Rules of node paths as clients check them, and the chroot.

use oxherd_proto::Str;
use thiserror::Error;

/// A path that no server would take.
// Java: PathUtils.validatePath
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// The path is empty.
    #[error("Path must not be empty")]
    Empty,
    /// The first character is not a slash.
    #[error("Path must start with / character")]
    Relative,
    /// A path other than the root ends in a slash.
    #[error("Path must not end with / character")]
    TrailingSlash,
    /// A part of the path is not allowed.
    #[error("Path {path:?} is not valid: {reason} at character {at}")]
    Part {
        /// The path.
        path: String,
        /// What is wrong.
        reason: &'static str,
        /// Where, counted from 0.
        at: usize,
    },
}

/// Checks a path; the root is valid.
pub fn validate_path(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Err(PathError::Relative);
    };
    if rest.is_empty() {
        return Ok(());
    }
    if rest.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    match rest_problem(rest) {
        Some((reason, at)) => Err(PathError::Part { path: path.to_owned(), reason, at }),
        None => Ok(()),
    }
}

fn rest_problem(rest: &str) -> Option<(&'static str, usize)> {
    let mut at = 1;
    for part in rest.split('/') {
        let problem = match part {
            "" => Some(("empty node name", at)),
            "." | ".." => Some(("relative node name", at)),
            _ => part
                .chars()
                .position(is_forbidden)
                .map(|offset| ("character that is not allowed", at + offset)),
        };
        if problem.is_some() {
            return problem;
        }
        at += part.chars().count() + 1;
    }
    None
}

fn is_forbidden(c: char) -> bool {
    matches!(u32::from(c), 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff)
}

/// A prefix that is put before every path sent and cut from every path received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chroot(String);

impl Chroot {
    /// Takes the part of a connect string from its first slash on; `/` alone means none.
    pub fn new(path: &str) -> Result<Self, PathError> {
        if path.is_empty() || path == "/" {
            return Ok(Self::default());
        }
        validate_path(path)?;
        Ok(Self(path.to_owned()))
    }

    /// The prefix; empty for none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The server's path for a client's path, which is checked.
    pub fn join(&self, path: &str) -> Result<Str, PathError> {
        validate_path(path)?;
        Ok(self.join_unchecked(path))
    }

    /// As [`Self::join`] for a path to which a sequential create adds its counter.
    pub fn join_sequential(&self, path: &str) -> Result<Str, PathError> {
        validate_path(&format!("{path}1"))?;
        Ok(self.join_unchecked(path))
    }

    /// The server's path without a check.
    pub fn join_unchecked(&self, path: &str) -> Str {
        if self.0.is_empty() {
            return Str::from(path);
        }
        if path == "/" { Str::from(self.0.as_str()) } else { Str::from(format!("{}{path}", self.0)) }
    }

    /// The client's path for a server's path; one outside the chroot stays as it is.
    // Java: ClientCnxn.stripChroot
    pub fn strip(&self, path: &[u8]) -> String {
        let text = String::from_utf8_lossy(path);
        match text.strip_prefix(self.0.as_str()) {
            Some("") => "/".to_owned(),
            Some(rest) if rest.starts_with('/') => rest.to_owned(),
            _ => text.into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_a_server_would_refuse_are_refused_before_they_are_sent() {
        for good in ["/", "/a", "/a.b/..c/d..", "/über/…"] {
            assert_eq!(validate_path(good), Ok(()), "{good}");
        }
        assert_eq!(validate_path(""), Err(PathError::Empty));
        assert_eq!(validate_path("a"), Err(PathError::Relative));
        assert_eq!(validate_path("/a/"), Err(PathError::TrailingSlash));
        for (bad, place) in [("/a//b", 3), ("/a/./b", 3), ("/..", 1), ("/a\u{0}", 2), ("/\u{7f}", 1)] {
            let error = validate_path(bad).expect_err(bad);
            assert!(matches!(error, PathError::Part { at, .. } if at == place), "{bad}: {error}");
        }
    }

    #[test]
    fn a_chroot_is_put_before_paths_and_taken_off_again() {
        let chroot = Chroot::new("/app").expect("valid");
        assert_eq!(chroot.join("/"), Ok(Str::from("/app")));
        assert_eq!(chroot.join("/x"), Ok(Str::from("/app/x")));
        assert_eq!(chroot.strip(b"/app"), "/");
        assert_eq!(chroot.strip(b"/app/x"), "/x");
        assert_eq!(chroot.strip(b"/apple"), "/apple");
        assert_eq!(Chroot::new("/").expect("valid").join("/x"), Ok(Str::from("/x")));
        assert!(Chroot::new("/app/").is_err());
    }

    #[test]
    fn a_sequential_create_may_end_in_a_slash() {
        assert!(Chroot::default().join_sequential("/a/").is_ok());
        assert!(Chroot::default().join("/a/").is_err());
    }
}
