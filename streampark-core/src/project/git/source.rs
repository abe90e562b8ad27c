//! A Git repository as a source.

use std::path::Path;

use async_trait::async_trait;
use git2::Oid;

use super::cache::GitCache;
use super::credentials::GitCredentials;
use super::export::{self, Budget, Submodule};
use super::history::{self, GitCommit, GitRemoteRef};
use super::mirror;
use super::session::{self, Session};
use crate::project::{Checkout, CheckoutOptions, GitRef, GitUrl, Revision, Source, SyncOptions, SyncReport};
use crate::{Error, ErrorKind, Result};

/// How deep submodules may hold submodules.
const MAX_SUBMODULES_DEEP: usize = 8;

/// One repository, and the branch, tag or commit that is wanted of it.
///
/// ```no_run
/// use streampark_core::project::git::{GitCache, GitCredentials, GitOptions, GitSource};
/// use streampark_core::project::{CheckoutOptions, Source, SyncOptions};
///
/// # async fn example() -> streampark_core::Result<()> {
/// let cache = GitCache::open("cache/git", GitOptions::default())?;
/// let orders = GitSource::new(&cache, "https://git.example.com/team/orders.git")?
///     .reference("main")?
///     .credentials(GitCredentials::token("env:ORDERS_TOKEN"));
/// let report = orders.sync(&SyncOptions::default()).await?;
/// println!("{} is at {}", orders.location(), report.revision.id);
/// let folder = orders.checkout(&CheckoutOptions::default()).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct GitSource {
    cache: GitCache,
    url: GitUrl,
    reference: GitRef,
    credentials: GitCredentials,
    submodules: bool,
    keep_lfs_pointers: bool,
}

impl GitSource {
    /// The default branch of the repository at `url`, read by anybody.
    ///
    /// # Errors
    /// As [`GitUrl::parse`].
    pub fn new(cache: &GitCache, url: &str) -> Result<Self> {
        Ok(Self {
            url: cache.url(url)?,
            cache: cache.clone(),
            reference: GitRef::Default,
            credentials: GitCredentials::Anonymous,
            submodules: false,
            keep_lfs_pointers: false,
        })
    }

    /// Sets the branch, tag or commit, as [`GitRef`] reads it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the rule for refs.
    pub fn reference(mut self, reference: &str) -> Result<Self> {
        self.reference = reference.parse()?;
        Ok(self)
    }

    /// Sets who we are.
    #[must_use]
    pub fn credentials(mut self, credentials: GitCredentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Brings submodules too. Each keeps the rules of URLs; the credentials go to the same host only.
    #[must_use]
    pub fn submodules(mut self, wanted: bool) -> Self {
        self.submodules = wanted;
        self
    }

    /// Lets Git LFS pointers stand in a checkout in place of their files, instead of refusing it.
    #[must_use]
    pub fn keep_lfs_pointers(mut self, keep: bool) -> Self {
        self.keep_lfs_pointers = keep;
        self
    }

    /// The address.
    pub fn url(&self) -> &GitUrl {
        &self.url
    }

    /// The branches and tags that the server has now; brings nothing.
    ///
    /// # Errors
    /// As [`check`](Source::check).
    pub async fn refs(&self) -> Result<Vec<GitRemoteRef>> {
        let heads = self.call(&SyncOptions::default(), mirror::list).await?.0;
        Ok(history::remote_refs(&heads))
    }

    /// The newest `limit` commits that changed `path` (empty is everything). Brings the history where
    /// only a part of it is here.
    ///
    /// # Errors
    /// As [`sync`](Source::sync).
    pub async fn log(&self, path: &str, limit: usize) -> Result<Vec<GitCommit>> {
        let (source, path) = (self.clone(), path.to_owned());
        self.locked(&SyncOptions::default(), move |session| {
            let folder = source.cache.mirror(&source.url);
            let known = mirror::open(&folder).ok().filter(|repository| !repository.is_shallow());
            let known =
                known.and_then(|repository| Some((mirror::local(&repository, &source.reference)?.0, repository)));
            let (commit, repository) = match known {
                Some(known) => known,
                None => {
                    let commit = mirror::fetch(session, &folder, &source.reference, true)?.commit;
                    (commit, mirror::open(&folder)?)
                }
            };
            history::log(&repository, commit, &path, limit)
        })
        .await
        .map(|(log, _)| log)
    }

    /// One file as it is where the wanted reference stands, at most 64 MiB.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where the project was never synchronised or has no such file.
    pub async fn file(&self, path: &str) -> Result<Vec<u8>> {
        let path = path.to_owned();
        self.read(move |repository, commit| history::file(repository, commit, &path, 64 << 20)).await
    }

    /// The README nearest to a module, with its path: in the module's folder, or in one above it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where the project was never synchronised.
    pub async fn readme(&self, module: &str) -> Result<Option<(String, String)>> {
        let module = module.to_owned();
        self.read(move |repository, commit| history::readme(repository, commit, &module)).await
    }

    /// Reads the mirror; asks no server.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&git2::Repository, Oid) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (folder, reference) = (self.cache.mirror(&self.url), self.reference.clone());
        tokio::task::spawn_blocking(move || {
            let repository = mirror::open(&folder)?;
            let (commit, _) =
                mirror::local(&repository, &reference).ok_or_else(|| mirror::no_such_ref(&reference, &[]))?;
            work(&repository, commit)
        })
        .await
        .map_err(panicked)?
    }

    async fn call<T: Send + 'static>(
        &self,
        options: &SyncOptions,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<(T, u64)> {
        session::call(&self.cache, &self.url, &self.credentials, options, work).await
    }

    /// A call that writes the mirror.
    async fn locked<T: Send + 'static>(
        &self,
        options: &SyncOptions,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<(T, u64)> {
        let lock = self.cache.lock(&self.cache.mirror(&self.url));
        let _lock = lock.lock().await;
        self.call(options, work).await
    }

    async fn fetch(&self, options: &SyncOptions, reference: GitRef) -> Result<SyncReport> {
        let (folder, wanted) = (self.cache.mirror(&self.url), reference);
        let work = move |session: &Session| {
            let fetched = mirror::fetch(session, &folder, &wanted, false)?;
            let repository = mirror::open(&folder)?;
            let commit = repository.find_commit(fetched.commit).map_err(|error| session.explain(error))?;
            Ok((mirror::revision(&commit, fetched.name), fetched.changed))
        };
        let ((revision, changed), received) =
            self.locked(options, work).await.map_err(|error| error.with_operation("project.sync"))?;
        Ok(SyncReport::new(revision, changed, received))
    }

    /// Writes `commit` below `root`, then its submodules.
    async fn export(&self, commit: Oid, root: &Path, mut budget: Budget) -> Result<()> {
        let mut todo = vec![(self.clone(), commit, root.to_owned(), 0)];
        while let Some((source, commit, root, depth)) = todo.pop() {
            let (folder, at) = (source.cache.mirror(&source.url), root.clone());
            let work = move || {
                let repository = mirror::open(&folder)?;
                let found = export::export(&repository, commit, &at, &mut budget)?;
                let table = if found.is_empty() { Vec::new() } else { submodule_urls(&repository, commit)? };
                Ok::<_, Error>((found, table, budget))
            };
            let (found, table, rest) = tokio::task::spawn_blocking(work).await.map_err(panicked)??;
            budget = rest;
            if !self.submodules {
                continue;
            }
            if depth >= MAX_SUBMODULES_DEEP {
                return Err(Error::invalid("submodules are nested more than 8 deep"));
            }
            for Submodule { path, commit } in found {
                let child = source.submodule(&path, &table)?;
                let pin = GitRef::Commit(commit.to_string());
                Box::pin(child.fetch(&SyncOptions::default(), pin))
                    .await
                    .map_err(|error| error.with_context("submodule", path.display()))?;
                todo.push((child, commit, root.join(path), depth + 1));
            }
        }
        Ok(())
    }

    fn submodule(&self, path: &Path, table: &[(String, String)]) -> Result<Self> {
        let named = path.to_string_lossy();
        let (_, url) = table
            .iter()
            .find(|(at, _)| *at == named)
            .ok_or_else(|| Error::invalid(format!("the submodule '{named}' has no URL in .gitmodules")))?;
        let url = self
            .url
            .submodule(url, &self.cache.options().schemes)
            .map_err(|error| error.with_context("submodule", &named))?;
        let same = (url.host(), url.port(), url.scheme()) == (self.url.host(), self.url.port(), self.url.scheme());
        let credentials = if same { self.credentials.clone() } else { GitCredentials::Anonymous };
        Ok(Self { url, credentials, ..self.clone() })
    }
}

#[async_trait]
impl Source for GitSource {
    fn kind(&self) -> &str {
        "git"
    }

    fn location(&self) -> String {
        self.url.to_string()
    }

    async fn check(&self) -> Result<Revision> {
        let wanted = self.reference.clone();
        let (heads, _) = self
            .call(&SyncOptions::default(), mirror::list)
            .await
            .map_err(|error| error.with_operation("project.check"))?;
        if let (GitRef::Commit(id), false) = (&wanted, heads.is_empty()) {
            return Ok(Revision::new(id.clone()));
        }
        let head = mirror::pick(&wanted, &heads).ok_or_else(|| {
            mirror::no_such_ref(&wanted, &heads).with_operation("project.check").with_context("url", &self.url)
        })?;
        let mut revision = Revision::new(mirror::peeled(&head, &heads).to_string());
        let short = head.name.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
        revision.reference = Some(short.to_owned());
        Ok(revision)
    }

    async fn sync(&self, options: &SyncOptions) -> Result<SyncReport> {
        self.fetch(options, self.reference.clone()).await
    }

    async fn checkout(&self, options: &CheckoutOptions) -> Result<Checkout> {
        let wanted = match &options.revision {
            Some(id) => match id.parse()? {
                pin @ GitRef::Commit(_) => pin,
                _ => {
                    return Err(Error::invalid(format!(
                        "'{id}' is no commit: a commit's id has 40 hexadecimal digits"
                    )));
                }
            },
            None => self.reference.clone(),
        };
        let folder = self.cache.mirror(&self.url);
        let here = wanted.clone();
        let find = move || {
            let repository = mirror::open(&folder).ok()?;
            let (commit, name) = mirror::local(&repository, &here)?;
            repository.find_commit(commit).ok().map(|commit| mirror::revision(&commit, name))
        };
        let mut revision = match tokio::task::spawn_blocking(find).await.map_err(panicked)? {
            Some(revision) => revision,
            None => self.fetch(&SyncOptions::default(), wanted.clone()).await?.revision,
        };
        if let (None, GitRef::Name(name) | GitRef::Branch(name) | GitRef::Tag(name)) =
            (&revision.reference, &self.reference)
        {
            revision.reference = Some(name.clone());
        }
        let parent = self.cache.checkouts();
        std::fs::create_dir_all(&parent)?;
        let checkout = tempfile::Builder::new().prefix("checkout-").tempdir_in(&parent)?;
        let commit = Oid::from_str(&revision.id)
            .map_err(|source| Error::new(ErrorKind::Internal, "a revision is no Git commit").with_source(source))?;
        let budget = Budget::new(self.cache.options(), self.keep_lfs_pointers);
        self.export(commit, checkout.path(), budget)
            .await
            .map_err(|error| error.with_operation("project.checkout").with_context("url", &self.url))?;
        Ok(Checkout::temporary(revision, checkout))
    }
}

/// The table of `.gitmodules`: path and URL.
fn submodule_urls(repository: &git2::Repository, commit: Oid) -> Result<Vec<(String, String)>> {
    let Ok(text) = history::file(repository, commit, ".gitmodules", 1 << 20) else { return Ok(Vec::new()) };
    let text = String::from_utf8_lossy(&text);
    let mut table: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            table.push(Default::default());
        }
        let (Some((key, value)), Some(last)) = (line.split_once('='), table.last_mut()) else { continue };
        match key.trim() {
            "path" => last.0 = value.trim().to_owned(),
            "url" => last.1 = value.trim().to_owned(),
            _ => {}
        }
    }
    Ok(table)
}

fn panicked(source: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "a Git call panicked").with_source(source)
}
