//! A push, as a Git server tells it by a webhook: checked, then read.
//!
//! The web server is the embedder's; it hands over the headers and the body as they came.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Error, ErrorKind, Result, Secret};

#[cfg(test)]
mod tests;

/// A body larger than this is no push.
const MAX_BODY: usize = 25 << 20;

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Push {
    /// The addresses under which the repository can be fetched.
    pub urls: Vec<String>,
    /// The full name of the branch or tag, such as `refs/heads/main`.
    pub reference: String,
    /// Where it stands now; None where it was deleted.
    pub commit: Option<String>,
    /// Who pushed.
    pub author: Option<String>,
}

impl Push {
    /// Reads a webhook of GitHub (`X-Hub-Signature-256`), Gitea or Forgejo (`X-Gitea-Signature`), or GitLab
    /// (`X-Gitlab-Token`). None where it is a true message about something else, such as a ping or an issue.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] where the signature or token is missing or wrong,
    /// [`ErrorKind::InvalidInput`] where the body is no push.
    pub fn read<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &[u8],
        secret: &Secret,
    ) -> Result<Option<Self>> {
        Self::checked(headers, body, secret).map_err(|error| error.with_operation("project.webhook"))
    }

    fn checked<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &[u8],
        secret: &Secret,
    ) -> Result<Option<Self>> {
        let headers: Vec<(String, &str)> =
            headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        if body.len() > MAX_BODY {
            return Err(Error::invalid(format!("the body of the webhook is larger than {MAX_BODY} bytes")));
        }
        let secret = secret.resolve()?;
        if secret.expose().is_empty() {
            return Err(Error::invalid(
                "the secret of webhooks is empty: anybody could send one; set one, here and at the Git server",
            ));
        }
        if let Some(token) = header("x-gitlab-token") {
            // Hashes of equal length take the same time to compare, wherever they differ.
            if Sha256::digest(token) != Sha256::digest(secret.expose()) {
                return Err(wrong("token"));
            }
            let is_push = header("x-gitlab-event").is_some_and(|event| ["Push Hook", "Tag Push Hook"].contains(&event));
            return if is_push { gitlab(&json(body)?).map(Some) } else { Ok(None) };
        }
        // Gitea sends GitHub's header too; its own tells it apart.
        let (signature, event) = match (header("x-gitea-signature"), header("x-hub-signature-256")) {
            (Some(signature), _) => (signature, header("x-gitea-event")),
            (None, Some(signature)) => {
                (signature.strip_prefix("sha256=").unwrap_or_default(), header("x-github-event"))
            }
            (None, None) => {
                return Err(Error::new(
                    ErrorKind::Unauthenticated,
                    "the webhook is not signed; set a secret for it at the Git server",
                ));
            }
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
            .map_err(|source| Error::new(ErrorKind::Internal, "the secret cannot be a key").with_source(source))?;
        mac.update(body);
        let given = hex::decode(signature).map_err(|_| wrong("signature"))?;
        mac.verify_slice(&given).map_err(|_| wrong("signature"))?;
        if event != Some("push") {
            return Ok(None);
        }
        github(&json(body)?).map(Some)
    }

    /// Whether the push is about this address and this branch or tag, as a project names them; an empty reference is
    /// the default branch, which only the server knows, so every branch may be it.
    pub fn concerns(&self, url: &str, reference: &str) -> bool {
        let same = self.urls.iter().any(|own| place(own) == place(url));
        let full = [format!("refs/heads/{reference}"), format!("refs/tags/{reference}"), reference.to_owned()];
        same && (full.contains(&self.reference) || (reference.is_empty() && self.reference.starts_with("refs/heads/")))
    }
}

/// Host and path alone: the same repository is fetched by https and ssh, on ports of their own.
fn place(url: &str) -> Option<String> {
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest.to_owned(),
        None => url.replacen(':', "/", 1),
    };
    let (host, path) = rest.split_once('/')?;
    let host = host.rsplit('@').next()?.split(':').next()?.to_ascii_lowercase();
    let path = path.trim_matches('/');
    Some(format!("{host}/{}", path.strip_suffix(".git").unwrap_or(path)))
}

fn github(body: &Value) -> Result<Push> {
    let repository = &body["repository"];
    let author = body["pusher"]["login"].as_str().or_else(|| body["pusher"]["name"].as_str());
    push(body, [&repository["clone_url"], &repository["ssh_url"]], body["after"].as_str(), author)
}

fn gitlab(body: &Value) -> Result<Push> {
    let project = &body["project"];
    let commit = body["checkout_sha"].as_str().or_else(|| body["after"].as_str());
    push(body, [&project["git_http_url"], &project["git_ssh_url"]], commit, body["user_username"].as_str())
}

fn push(body: &Value, urls: [&Value; 2], commit: Option<&str>, author: Option<&str>) -> Result<Push> {
    let urls: Vec<String> = urls.into_iter().filter_map(|url| url.as_str().map(str::to_owned)).collect();
    let (Some(reference), false) = (body["ref"].as_str(), urls.is_empty()) else {
        return Err(Error::invalid("the body of the webhook names no reference or no repository"));
    };
    // A deleted branch stands on the commit of zeros.
    let commit = commit.filter(|commit| commit.contains(|c| c != '0')).map(str::to_owned);
    Ok(Push { urls, reference: reference.to_owned(), commit, author: author.map(str::to_owned) })
}

fn json(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|source| {
        Error::invalid("the body of the webhook is not JSON; let the Git server send application/json")
            .with_source(source)
    })
}

fn wrong(what: &str) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        format!("the {what} of the webhook is wrong; compare the secret here with the one at the Git server"),
    )
}
