//! `authority`: who decides.

/// Who decides about changes: `authority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityKind {
    /// This daemon.
    Local,
    /// The master in `[upstream]`, which this daemon follows.
    Upstream,
}

impl AuthorityKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Local, Self::Upstream];

    /// The name that configuration files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Upstream => "upstream",
        }
    }
}
