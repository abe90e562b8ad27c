use super::*;

const BODY: &str = r#"{"ref": "refs/heads/main", "after": "0123456789abcdef0123456789abcdef01234567",
 "repository": {"clone_url": "https://git.example.com/team/orders.git", "ssh_url": "git@git.example.com:team/orders.git"},
 "pusher": {"name": "ada"}}"#;

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn read(headers: &[(&str, &str)], body: &str) -> Result<Option<Push>> {
    Push::read(headers.iter().copied(), body.as_bytes(), &Secret::new("s3cret"))
}

#[test]
fn github_and_gitea_sign_and_gitlab_shows_a_token() {
    let hub = format!("sha256={}", signature(BODY));
    let push = read(&[("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &hub)], BODY).unwrap().unwrap();
    assert_eq!(push.commit.as_deref(), Some("0123456789abcdef0123456789abcdef01234567"));
    assert_eq!(push.author.as_deref(), Some("ada"));
    let own = signature(BODY);
    let gitea = [("x-gitea-event", "push"), ("x-gitea-signature", own.as_str()), ("x-hub-signature-256", "sha256=00")];
    assert_eq!(read(&gitea, BODY).unwrap().unwrap(), push);
    let lab = r#"{"ref": "refs/tags/v1", "checkout_sha": null, "after": "0000000000000000000000000000000000000000",
      "project": {"git_http_url": "https://git.example.com/team/orders.git"}, "user_username": "ada"}"#;
    let headers = [("X-Gitlab-Event", "Tag Push Hook"), ("X-Gitlab-Token", "s3cret")];
    let deleted = read(&headers, lab).unwrap().unwrap();
    assert_eq!((deleted.reference.as_str(), deleted.commit), ("refs/tags/v1", None));
    assert_eq!(read(&[("X-GitHub-Event", "ping"), ("X-Hub-Signature-256", &hub)], BODY).unwrap(), None);
    assert_eq!(read(&[("X-Gitlab-Event", "Issue Hook"), ("X-Gitlab-Token", "s3cret")], "{}").unwrap(), None);
}

#[test]
fn what_is_not_signed_or_wrongly_is_refused() {
    let refusal = |headers: &[(&str, &str)], body: &str| {
        let error = read(headers, body).unwrap_err();
        assert!(!error.chain().contains("s3cret"));
        (error.kind(), error.message().to_owned())
    };
    let wrong = "the signature of the webhook is wrong; compare the secret here with the one at the Git server";
    let hub = format!("sha256={}", signature(BODY));
    for (headers, body) in [
        ([("X-GitHub-Event", "push"), ("X-Hub-Signature-256", hub.as_str())], "{}"),
        ([("X-GitHub-Event", "push"), ("X-Hub-Signature-256", "sha256=xx")], BODY),
        ([("X-GitHub-Event", "push"), ("X-Hub-Signature-256", "")], BODY),
    ] {
        assert_eq!(refusal(&headers, body), (ErrorKind::Unauthenticated, wrong.to_owned()));
    }
    assert_eq!(
        refusal(&[("X-Gitlab-Token", "s3cre"), ("X-Gitlab-Event", "Push Hook")], BODY).1,
        "the token of the webhook is wrong; compare the secret here with the one at the Git server"
    );
    assert_eq!(refusal(&[], BODY).1, "the webhook is not signed; set a secret for it at the Git server");
    let empty = Push::read([("X-Gitlab-Token", "")], b"{}", &Secret::new("")).unwrap_err();
    assert!(empty.message().starts_with("the secret of webhooks is empty"), "{empty}");
    let hub = format!("sha256={}", signature("{}"));
    let headers = [("X-GitHub-Event", "push"), ("X-Hub-Signature-256", hub.as_str())];
    assert_eq!(refusal(&headers, "{}").1, "the body of the webhook names no reference or no repository");
}

#[test]
fn a_push_concerns_the_repository_by_whatever_address() {
    let hub = format!("sha256={}", signature(BODY));
    let push = read(&[("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &hub)], BODY).unwrap().unwrap();
    for url in [
        "https://git.example.com/team/orders",
        "ssh://git@GIT.example.com:2222/team/orders.git",
        "git@git.example.com:team/orders.git",
    ] {
        assert!(push.concerns(url, "main") && push.concerns(url, "refs/heads/main") && push.concerns(url, ""), "{url}");
    }
    assert!(!push.concerns("https://git.example.com/team/orders", "dev"));
    assert!(!push.concerns("https://git.example.com/team/returns", "main"));
    assert!(!push.concerns("https://other.example.com/team/orders", "main"));
}
