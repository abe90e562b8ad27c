//! What an HTTP failure of Hadoop means: which kind, and whether the call may have taken effect.

use std::error::Error as StdError;
use std::io;

use serde::Deserialize;
use streampark_core::{Error, ErrorKind, ErrorStatus};
use url::Url;

use crate::auth::Service;

/// `{"RemoteException": …}`, the body of Hadoop's errors (`GenericExceptionHandler`, `ExceptionHandler`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RemoteException {
    pub(crate) exception: String,
    message: Option<String>,
    pub(crate) java_class_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorBody {
    remote_exception: RemoteException,
}

impl RemoteException {
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<ErrorBody>(body).ok().map(|body| body.remote_exception)
    }

    /// The message without what Hadoop 3.4 puts before it.
    pub(crate) fn message(&self) -> &str {
        let message = self.message.as_deref().unwrap_or_default();
        message.trim_start_matches("java.lang.Exception: ").trim()
    }
}

/// An unsuccessful answer.
pub(crate) struct Refusal<'a> {
    pub(crate) service: Service,
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
    pub(crate) changes_something: bool,
    pub(crate) negotiates: bool,
}

impl Refusal<'_> {
    pub(crate) fn into_error(self) -> Error {
        let error = match RemoteException::of(self.body) {
            Some(remote) => self.told_by_hadoop(&remote),
            None => self.told_otherwise(),
        };
        error.with_context("http_status", self.status)
    }

    fn told_by_hadoop(&self, remote: &RemoteException) -> Error {
        let message = match remote.message() {
            "" => remote.exception.clone(),
            message => message.lines().next().unwrap_or_default().trim().to_owned(),
        };
        // Answers that repeat themselves however often the same is sent.
        let permanent = ["NullPointerException", "NotSupportedException", "MessageException"];
        let (kind, message) = match (self.status, remote.exception.as_str()) {
            (_, "StandbyException") => (ErrorKind::Remote, message),
            (_, "SafeModeException") => {
                (ErrorKind::Remote, format!("the NameNode is in safe mode and takes no writes yet: {message}"))
            }
            (401, _) => (ErrorKind::Unauthenticated, message),
            (403, "AccessControlException" | "ForbiddenException" | "AuthorizationException") => {
                (ErrorKind::PermissionDenied, message)
            }
            (403, name) if is_conflict(name) => (ErrorKind::Conflict, message),
            (403, _) => (ErrorKind::PermissionDenied, message),
            (404, "NotFoundException" | "FileNotFoundException") => (ErrorKind::NotFound, message),
            // The ResourceManager answers 404 to every IOException of its own.
            (404, name) if self.service == Service::ResourceManager => {
                (ErrorKind::Remote, format!("the ResourceManager failed: {name}: {message}"))
            }
            (404, _) => (ErrorKind::NotFound, message),
            (400..=499, _) => (ErrorKind::InvalidInput, message),
            (_, name) if permanent.contains(&name) => (ErrorKind::InvalidInput, format!("{name}: {message}")),
            (_, name) => (ErrorKind::Remote, format!("{name}: {message}")),
        };
        let standby = remote.exception == "StandbyException";
        let error = Error::new(kind, message);
        self.mark(error, kind == ErrorKind::Remote && !standby && self.status != 403)
    }

    fn told_otherwise(&self) -> Error {
        let text = String::from_utf8_lossy(self.body.get(..self.body.len().min(4096)).unwrap_or_default());
        let html =
            self.content_type.is_some_and(|kind| kind.starts_with("text/html")) || text.trim_start().starts_with('<');
        let line = text.lines().next().unwrap_or_default().trim();
        if text.contains("App submission via REST is disabled") {
            return Error::new(
                ErrorKind::Unsupported,
                "this ResourceManager takes no submissions by REST; set yarn.webapp.enable-rest-app-submissions=true there",
            );
        }
        match self.status {
            401 if self.negotiates => Error::new(
                ErrorKind::Unauthenticated,
                "the server wants a Kerberos ticket; give a principal and its keytab, or a credential cache, by the option \
                 kerberos",
            ),
            401 => unauthenticated(),
            403 if text.contains("Clock skew too great") => Error::new(
                ErrorKind::Unauthenticated,
                "the server's clock and the KDC's are more than 300 s apart, so it refuses our Kerberos ticket; set the \
                 clocks by a time server",
            ),
            403 if text.contains("GSSException") => {
                let from = text.get(text.find("GSSException").unwrap_or_default()..).unwrap_or_default();
                let reason = from.split(['<', '\n', '\r']).next().unwrap_or_default().trim();
                Error::new(ErrorKind::Unauthenticated, format!("the server cannot take our Kerberos ticket: {reason}"))
            }
            403 if line.starts_with("The default static user cannot") => Error::new(
                ErrorKind::Unauthenticated,
                "the cluster is secure, but its web interface does not ask who we are, so everybody is 'dr.who' and \
                 may not write; set hadoop.http.authentication.type=kerberos and \
                 hadoop.http.filter.initializers=org.apache.hadoop.security.AuthenticationFilterInitializer there",
            ),
            403 if !html && !line.is_empty() => Error::new(ErrorKind::PermissionDenied, line),
            403 => Error::new(ErrorKind::PermissionDenied, "the server, or a proxy before it, refuses this call to us"),
            405 => Error::new(
                ErrorKind::Unsupported,
                "the server, or a proxy before it, lets only reads through (some clouds set \
                 yarn.resourcemanager.webapp.methods-allowed=GET,HEAD)",
            ),
            _ => self.mark(not_hadoop(self.service, self.status, html), self.status >= 500),
        }
    }

    fn mark(&self, error: Error, may_have_happened: bool) -> Error {
        if may_have_happened && self.changes_something { error.with_status(ErrorStatus::Unknown) } else { error }
    }
}

fn is_conflict(exception: &str) -> bool {
    ["FileAlreadyExistsException", "AlreadyBeingCreatedException", "PathIsNotEmptyDirectoryException"]
        .contains(&exception)
}

pub(crate) fn unauthenticated() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "the server wants to know who we are; give a user name, a token or an Authenticator that it accepts",
    )
}

/// An answer that is none of Hadoop's: a wrong port, a login page.
pub(crate) fn not_hadoop(service: Service, status: u16, html: bool) -> Error {
    let (what, remedy) = match service {
        Service::ResourceManager => (
            "the ResourceManager's REST interface",
            "check host and port: yarn.resourcemanager.webapp.address, 8088 by default (not the NodeManager's 8042, \
             not the NameNode's 9870)",
        ),
        Service::NodeManager => ("a NodeManager's REST interface", "check yarn.nodemanager.webapp.address"),
        Service::FileSystem => {
            ("WebHDFS", "check host and port: dfs.namenode.http-address, 9870 by default, and dfs.webhdfs.enabled")
        }
        Service::DataNode => ("a DataNode's WebHDFS", "check dfs.datanode.http.address and what stands in between"),
    };
    let answer = if html { "a web page" } else { "something else" };
    Error::new(
        ErrorKind::UnexpectedResponse,
        format!("the server answers with {answer}, so this is not {what}; {remedy}"),
    )
    .with_status(ErrorStatus::Permanent)
    .with_context("http_status", status)
}

/// A request without an answer.
pub(crate) fn from_transport(failure: reqwest::Error, base: &Url, changes_something: bool) -> Error {
    // The URL is told as context, without its query: it may carry a token.
    let failure = failure.without_url();
    let place = match (base.host_str(), base.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => base.as_str().to_owned(),
    };
    if failure.is_connect() {
        let text = chain_text(&failure).to_ascii_lowercase();
        let message = if text.contains("invalidcontenttype") || text.contains("corrupt message") {
            format!("{place} does not speak TLS; write http:// instead of https://")
        } else if text.contains("unknownissuer") || text.contains("unknown issuer") {
            format!("{place} shows a certificate that no known authority signed; give its CA by the option tls_ca")
        } else if text.contains("notvalidforname") || text.contains("not valid for name") {
            format!("{place} shows a certificate of another name; use the name that is in it")
        } else if text.contains("certificate") || text.contains("handshake") || text.contains("tls") {
            format!("no TLS connection to {place}; check its certificate and whether it speaks TLS at all")
        } else if failure.is_timeout() {
            format!("no connection to {place} in time; is the machine up and the port open to us?")
        } else if find_io(&failure) == Some(io::ErrorKind::ConnectionRefused) {
            format!("nobody listens at {place}; is the daemon running, and is this its web port?")
        } else if text.contains("dns error") {
            format!("the host name of {place} is unknown here; check its spelling and the name service")
        } else {
            format!("no connection to {place}")
        };
        return Error::new(ErrorKind::Unreachable, message).with_source(failure);
    }
    let error = if failure.is_timeout() {
        Error::new(ErrorKind::Timeout, format!("{place} took the request but did not answer in time"))
    } else if chain_text(&failure).contains("invalid HTTP") {
        Error::new(
            ErrorKind::UnexpectedResponse,
            format!("{place} does not answer in HTTP; use the web port, not the RPC port"),
        )
        .with_status(ErrorStatus::Permanent)
    } else {
        Error::new(ErrorKind::Unreachable, format!("the connection to {place} broke before the answer was complete"))
    };
    let lost = changes_something && error.status() == ErrorStatus::Temporary;
    let error = if lost { error.with_status(ErrorStatus::Unknown) } else { error };
    error.with_source(failure)
}

/// Whether a kept connection turned out to be closed, so that nothing was read from it.
pub(crate) fn is_stale(failure: &reqwest::Error) -> bool {
    if failure.is_timeout() || failure.is_connect() {
        return false;
    }
    chain_text(failure).contains("connection closed before message completed")
        || matches!(
            find_io(failure),
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted)
        )
}

fn chain_text(failure: &(dyn StdError + 'static)) -> String {
    let mut text = failure.to_string();
    let mut next = failure.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

fn find_io(failure: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(failure);
    let mut found = None;
    while let Some(source) = next {
        found = source.downcast_ref::<io::Error>().map(io::Error::kind).or(found);
        next = source.source();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(service: Service, status: u16, content_type: &str, body: &str) -> Error {
        let refusal = Refusal {
            service,
            status,
            content_type: Some(content_type),
            body: body.as_bytes(),
            changes_something: true,
            negotiates: content_type == "negotiate",
        };
        refusal.into_error()
    }

    fn remote(status: u16, exception: &str, message: &str) -> Error {
        let body =
            serde_json::json!({"RemoteException": {"exception": exception, "message": message, "javaClassName": "x"}});
        error(Service::ResourceManager, status, "application/json", &body.to_string())
    }

    #[test]
    fn a_404_is_absence_only_where_hadoop_says_so() {
        let absent = remote(404, "NotFoundException", "java.lang.Exception: app with id: application_1_0001 not found");
        assert_eq!(
            (absent.kind(), absent.message()),
            (ErrorKind::NotFound, "app with id: application_1_0001 not found")
        );
        let failed = remote(404, "YarnException", "Failed to submit");
        assert_eq!((failed.kind(), failed.status()), (ErrorKind::Remote, ErrorStatus::Unknown));
    }

    #[test]
    fn permanent_503_are_told_apart() {
        let null = remote(503, "NullPointerException", "Null resource visibility for local resource");
        assert_eq!((null.kind(), null.status()), (ErrorKind::InvalidInput, ErrorStatus::Permanent));
        let other = remote(503, "InterruptedException", "x");
        assert_eq!((other.kind(), other.status()), (ErrorKind::Remote, ErrorStatus::Unknown));
        let standby = remote(403, "StandbyException", "Operation category READ is not supported in state standby");
        assert_eq!((standby.kind(), standby.status()), (ErrorKind::Remote, ErrorStatus::Temporary));
    }

    #[test]
    fn the_kinds_of_403_have_their_remedies() {
        let rest = error(Service::ResourceManager, 403, "application/json", "App submission via REST is disabled.");
        assert_eq!(
            rest.message(),
            "this ResourceManager takes no submissions by REST; set yarn.webapp.enable-rest-app-submissions=true there"
        );
        let who = error(
            Service::ResourceManager,
            403,
            "text/plain",
            "The default static user cannot carry out this operation.",
        );
        assert_eq!(who.kind(), ErrorKind::Unauthenticated);
        let kill = error(
            Service::ResourceManager,
            403,
            "text/plain",
            "Unauthorized attempt to kill appid application_1_0001 by remote user bob",
        );
        assert_eq!(kill.message(), "Unauthorized attempt to kill appid application_1_0001 by remote user bob");
    }

    #[test]
    fn a_ticket_that_is_asked_for_or_not_taken() {
        let ask = error(Service::ResourceManager, 401, "negotiate", "<html></html>");
        assert_eq!(
            ask.message(),
            "the server wants a Kerberos ticket; give a principal and its keytab, or a credential cache, by the option kerberos"
        );
        let page = "<tr><td>GSSException: Failure unspecified at GSS-API level (Mechanism level: {})</td></tr>";
        let skew = error(Service::FileSystem, 403, "text/html", &page.replace("{}", "Clock skew too great (37)"));
        assert_eq!(
            skew.message(),
            "the server's clock and the KDC's are more than 300 s apart, so it refuses our Kerberos ticket; set the clocks \
             by a time server"
        );
        let old = error(Service::FileSystem, 403, "text/html", &page.replace("{}", "Checksum failed"));
        assert_eq!(
            (old.kind(), old.message()),
            (
                ErrorKind::Unauthenticated,
                "the server cannot take our Kerberos ticket: GSSException: Failure unspecified at GSS-API level (Mechanism \
                 level: Checksum failed)"
            )
        );
    }

    #[test]
    fn a_web_page_is_a_wrong_port() {
        let page = error(Service::ResourceManager, 404, "text/html", "<html></html>");
        assert_eq!(
            page.message(),
            "the server answers with a web page, so this is not the ResourceManager's REST interface; check host and \
             port: yarn.resourcemanager.webapp.address, 8088 by default (not the NodeManager's 8042, not the NameNode's 9870)"
        );
    }
}
