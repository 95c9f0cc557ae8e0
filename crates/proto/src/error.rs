//! Every error that etcd defines, with its gRPC code and its text.
//!
//! Clients recognise an error by its text first, so a text here is an interface: it never changes.

macro_rules! api_errors {
    ($($variant:ident, $code:ident, $wire:ident, $text:literal;)*) => {
        /// An error of the etcd v3 API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ApiError {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl ApiError {
            /// All of them.
            pub const ALL: &'static [ApiError] = &[$(ApiError::$variant,)*];

            /// The code that the API defines.
            pub const fn code(self) -> Code {
                match self {
                    $(ApiError::$variant => Code::$code,)*
                }
            }

            /// The code that travels: two errors are sent as `Unknown` although they are defined otherwise.
            pub const fn wire_code(self) -> Code {
                match self {
                    $(ApiError::$variant => Code::$wire,)*
                }
            }

            /// The text that travels.
            pub const fn text(self) -> &'static str {
                match self {
                    $(ApiError::$variant => $text,)*
                }
            }
        }
    };
}

/// The gRPC status codes by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "gRPC defines them")]
#[repr(u8)]
pub enum Code {
    Canceled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

api_errors! {
    EmptyKey, InvalidArgument, InvalidArgument, "etcdserver: key is not provided";
    KeyNotFound, InvalidArgument, InvalidArgument, "etcdserver: key not found";
    ValueIsProvided, InvalidArgument, InvalidArgument, "etcdserver: value is provided";
    LeaseIsProvided, InvalidArgument, InvalidArgument, "etcdserver: lease is provided";
    TooManyOps, InvalidArgument, InvalidArgument, "etcdserver: too many operations in txn request";
    DuplicateKey, InvalidArgument, InvalidArgument, "etcdserver: duplicate key given in txn request";
    InvalidClientApiVersion, InvalidArgument, InvalidArgument, "etcdserver: invalid client api version";
    InvalidSortOption, InvalidArgument, InvalidArgument, "etcdserver: invalid sort option";
    Compacted, OutOfRange, OutOfRange, "etcdserver: mvcc: required revision has been compacted";
    FutureRevision, OutOfRange, OutOfRange, "etcdserver: mvcc: required revision is a future revision";
    NoSpace, ResourceExhausted, ResourceExhausted, "etcdserver: mvcc: database space exceeded";
    LeaseNotFound, NotFound, NotFound, "etcdserver: requested lease not found";
    LeaseExists, FailedPrecondition, FailedPrecondition, "etcdserver: lease already exists";
    LeaseTtlTooLarge, OutOfRange, OutOfRange, "etcdserver: too large lease TTL";
    WatchCanceled, Canceled, Canceled, "etcdserver: watch canceled";
    MemberExists, FailedPrecondition, FailedPrecondition, "etcdserver: member ID already exist";
    PeerUrlsExist, FailedPrecondition, FailedPrecondition, "etcdserver: Peer URLs already exists";
    NotEnoughStarted, FailedPrecondition, Unknown, "etcdserver: re-configuration failed due to not enough started members";
    BadMemberUrls, InvalidArgument, InvalidArgument, "etcdserver: given member URLs are invalid";
    MemberNotFound, NotFound, NotFound, "etcdserver: member not found";
    NotLearner, FailedPrecondition, FailedPrecondition, "etcdserver: can only promote a learner member";
    LearnerNotReady, FailedPrecondition, FailedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader";
    TooManyLearners, FailedPrecondition, FailedPrecondition, "etcdserver: too many learner members in cluster";
    ClusterIdMismatch, FailedPrecondition, FailedPrecondition, "etcdserver: cluster ID mismatch";
    RequestTooLarge, InvalidArgument, InvalidArgument, "etcdserver: request is too large";
    TooManyRequests, ResourceExhausted, Unknown, "etcdserver: too many requests";
    RootUserNotExist, FailedPrecondition, FailedPrecondition, "etcdserver: root user does not exist";
    RootRoleNotExist, FailedPrecondition, FailedPrecondition, "etcdserver: root user does not have root role";
    UserNameAlreadyExists, FailedPrecondition, FailedPrecondition, "etcdserver: user name already exists";
    UserNameIsEmpty, InvalidArgument, InvalidArgument, "etcdserver: user name is empty";
    UserNameNotFound, FailedPrecondition, FailedPrecondition, "etcdserver: user name not found";
    RoleNameAlreadyExists, FailedPrecondition, FailedPrecondition, "etcdserver: role name already exists";
    RoleNameNotFound, FailedPrecondition, FailedPrecondition, "etcdserver: role name not found";
    RoleNameIsEmpty, InvalidArgument, InvalidArgument, "etcdserver: role name is empty";
    AuthFailed, InvalidArgument, InvalidArgument, "etcdserver: authentication failed, invalid user ID or password";
    PermissionNotGiven, InvalidArgument, InvalidArgument, "etcdserver: permission not given";
    PermissionDenied, PermissionDenied, PermissionDenied, "etcdserver: permission denied";
    RoleNotGranted, FailedPrecondition, FailedPrecondition, "etcdserver: role is not granted to the user";
    PermissionNotGranted, FailedPrecondition, FailedPrecondition, "etcdserver: permission is not granted to the role";
    AuthNotEnabled, FailedPrecondition, FailedPrecondition, "etcdserver: authentication is not enabled";
    InvalidAuthToken, Unauthenticated, Unauthenticated, "etcdserver: invalid auth token";
    InvalidAuthManagement, InvalidArgument, InvalidArgument, "etcdserver: invalid auth management";
    AuthOldRevision, InvalidArgument, InvalidArgument, "etcdserver: revision of auth store is old";
    NoLeader, Unavailable, Unavailable, "etcdserver: no leader";
    NotLeader, FailedPrecondition, FailedPrecondition, "etcdserver: not leader";
    LeaderChanged, Unavailable, Unavailable, "etcdserver: leader changed";
    NotCapable, FailedPrecondition, FailedPrecondition, "etcdserver: not capable";
    Stopped, Unavailable, Unavailable, "etcdserver: server stopped";
    Timeout, Unavailable, Unavailable, "etcdserver: request timed out";
    TimeoutLeaderFailure, Unavailable, Unavailable, "etcdserver: request timed out, possibly due to previous leader failure";
    TimeoutConnectionLost, Unavailable, Unavailable, "etcdserver: request timed out, possibly due to connection lost";
    TimeoutWaitAppliedIndex, Unavailable, Unavailable, "etcdserver: request timed out, waiting for the applied index took too long";
    UnhealthyCluster, Unavailable, Unavailable, "etcdserver: unhealthy cluster";
    Corrupt, DataLoss, DataLoss, "etcdserver: corrupt cluster";
    NotSupportedForLearner, FailedPrecondition, FailedPrecondition, "etcdserver: rpc not supported for learner";
    BadLeaderTransferee, FailedPrecondition, FailedPrecondition, "etcdserver: bad leader transferee";
    WrongDowngradeFormat, InvalidArgument, InvalidArgument, "etcdserver: wrong downgrade target version format";
    InvalidDowngradeTarget, InvalidArgument, InvalidArgument, "etcdserver: invalid downgrade target version";
    ClusterVersionUnavailable, FailedPrecondition, FailedPrecondition, "etcdserver: cluster version not found during downgrade";
    DowngradeInProgress, FailedPrecondition, FailedPrecondition, "etcdserver: cluster has a downgrade job in progress";
    NoInflightDowngrade, FailedPrecondition, FailedPrecondition, "etcdserver: no inflight downgrade job";
    Canceled, Canceled, Canceled, "etcdserver: request canceled";
    DeadlineExceeded, DeadlineExceeded, DeadlineExceeded, "etcdserver: context deadline exceeded";
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    /// The error with this text, as clients look it up.
    pub fn from_text(text: &str) -> Option<ApiError> {
        ApiError::ALL.iter().copied().find(|e| e.text() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_unique_and_found_again() {
        for error in ApiError::ALL {
            assert_eq!(ApiError::from_text(error.text()), Some(*error));
        }
    }

    #[test]
    fn two_errors_travel_as_unknown() {
        let unknown: Vec<_> = ApiError::ALL
            .iter()
            .filter(|e| e.code() != e.wire_code())
            .map(|e| e.text())
            .collect();
        assert_eq!(
            unknown,
            [
                "etcdserver: re-configuration failed due to not enough started members",
                "etcdserver: too many requests",
            ]
        );
    }
}
