//! A registry's API, as far as a pull needs it: manifests and blobs of one repository.

use std::io;

use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::address::Address;
use super::auth::{self, Challenge, Credentials};
use super::error::PullError;
use super::reference::Reference;
use super::send::{self, Answer};

/// Redirects that one request follows; registries keep blobs elsewhere, one step away.
const REDIRECTS: usize = 5;
/// Longest manifest or configuration that is read; registries cap manifests at 4 MiB.
const DOCUMENT: usize = 8 << 20;
/// Longest answer of a token service.
const TOKEN: usize = 1 << 20;
/// The kinds of manifest that are understood.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// The repository of one reference, with what has opened it so far.
#[derive(Debug)]
pub(super) struct Repository<'a> {
    reference: &'a Reference,
    credentials: Option<&'a Credentials>,
    authorization: Option<HeaderValue>,
}

impl<'a> Repository<'a> {
    pub(super) fn new(reference: &'a Reference, credentials: Option<&'a Credentials>) -> Self {
        Self { reference, credentials, authorization: None }
    }

    /// The manifest or index of a tag or digest.
    pub(super) async fn manifest(&mut self, version: &str) -> Result<Vec<u8>, PullError> {
        let answer = self.fetch(&format!("manifests/{version}"), Some(MANIFESTS)).await?;
        self.document(answer).await
    }

    /// A small blob.
    pub(super) async fn small_blob(&mut self, digest: &str) -> Result<Vec<u8>, PullError> {
        let answer = self.blob(digest).await?;
        self.document(answer).await
    }

    /// A blob, to be read piece by piece.
    pub(super) async fn blob(&mut self, digest: &str) -> Result<Answer, PullError> {
        self.fetch(&format!("blobs/{digest}"), None).await.map_err(|error| match error {
            PullError::NotFound { .. } => {
                self.protocol(format!("has the manifest of {}, and lacks its blob {digest}", self.reference))
            }
            error => error,
        })
    }

    /// The registry's connection failed or broke off.
    pub(super) fn unreachable(&self, source: io::Error) -> PullError {
        PullError::Unreachable { host: self.reference.api_host().to_owned(), source }
    }

    async fn document(&self, answer: Answer) -> Result<Vec<u8>, PullError> {
        let document = answer.document(DOCUMENT).await.map_err(|error| self.unreachable(error))?;
        document.ok_or_else(|| self.protocol(format!("sent a manifest of more than {DOCUMENT} bytes")))
    }

    fn protocol(&self, reason: String) -> PullError {
        PullError::Protocol { host: self.reference.api_host().to_owned(), reason }
    }

    /// Asks the API; meets one challenge.
    async fn fetch(&mut self, what: &str, accept: Option<&str>) -> Result<Answer, PullError> {
        let path = format!("/v2/{}/{what}", self.reference.repository());
        let api = Address::of_registry(self.reference.api_host(), path);
        let api = api.ok_or_else(|| self.protocol("has no valid name".to_owned()))?;
        let (mut answer, from) = self.follow(&api, accept).await?;
        if answer.head.status == StatusCode::UNAUTHORIZED
            && from.same_place(&api)
            && self.authorize(&api, &answer.head.headers).await?
        {
            (answer, _) = self.follow(&api, accept).await?;
        }
        if answer.head.status == StatusCode::OK {
            return Ok(answer);
        }
        let (given, host) = (self.credentials.is_some(), self.reference.api_host().to_owned());
        Err(PullError::of_status(answer.head.status, self.reference, given, host))
    }

    /// The answer at the end of all redirects, and who gave it. Only the registry itself is shown what opens it.
    async fn follow(&self, api: &Address, accept: Option<&str>) -> Result<(Answer, Address), PullError> {
        let mut address = api.clone();
        for _ in 0..=REDIRECTS {
            let authorization = self.authorization.as_ref().filter(|_| address.same_place(api));
            let answer = send::get(&address, accept, authorization).await;
            let answer = answer.map_err(|source| PullError::Unreachable { host: address.host(), source })?;
            if !answer.head.status.is_redirection() {
                return Ok((answer, address));
            }
            let target = answer.head.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let target = target.and_then(|url| address.follow(url));
            address = target.ok_or_else(|| self.protocol("redirects to where it may not".to_owned()))?;
        }
        Err(self.protocol(format!("redirects more than {REDIRECTS} times")))
    }

    /// Gets what a challenge asks for; `false` when there is nothing more to show.
    async fn authorize(&mut self, api: &Address, headers: &HeaderMap) -> Result<bool, PullError> {
        let authorization = match Challenge::of(headers) {
            Some(Challenge::Basic) => self.credentials.map(Credentials::basic),
            Some(Challenge::Bearer { realm, service, scope }) => {
                let scope =
                    scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository()));
                Some(self.token(api, &auth::token_url(&realm, service.as_deref(), &scope)).await?)
            }
            None => None,
        };
        self.authorization = authorization;
        Ok(self.authorization.is_some())
    }

    /// A token of the service that the registry named, for the credentials or for anybody.
    async fn token(&self, api: &Address, url: &str) -> Result<HeaderValue, PullError> {
        let address = api.follow(url);
        let address =
            address.ok_or_else(|| self.protocol("names a token service that may not be asked".to_owned()))?;
        let basic = self.credentials.map(Credentials::basic);
        let unreachable = |source| PullError::Unreachable { host: address.host(), source };
        let answer = send::get(&address, None, basic.as_ref()).await.map_err(unreachable)?;
        match answer.head.status {
            StatusCode::OK => {}
            // Some services say so of wrong credentials.
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN if basic.is_some() => {
                let reference = self.reference.to_string();
                return Err(PullError::Unauthenticated { reference, given: true });
            }
            StatusCode::NOT_FOUND => {
                return Err(self.protocol("names a token service that is not there".to_owned()));
            }
            status => {
                return Err(PullError::of_status(status, self.reference, basic.is_some(), address.host()));
            }
        }
        let document = answer.document(TOKEN).await.map_err(unreachable)?;
        let token = document.as_deref().and_then(auth::bearer);
        token.ok_or_else(|| self.protocol("has a token service that gives no token".to_owned()))
    }
}
