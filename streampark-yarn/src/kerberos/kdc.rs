//! One question to a realm's KDCs, over TCP (RFC 4120, section 7.2.2).

use std::time::Duration;

use streampark_core::{Error, ErrorKind, ErrorStatus, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::messages::{self, Answer};

/// Longer than any answer of a KDC, even one with a Windows user's thousand groups.
const MAX_ANSWER: u32 = 1 << 20;

/// Asks one after the other until one answers; each has `patience`.
pub(super) async fn ask(realm: &str, kdcs: &[String], request: &[u8], patience: Duration) -> Result<Answer> {
    let mut last = None;
    for kdc in kdcs {
        match timeout(patience, exchange(kdc, request)).await {
            Ok(Ok(bytes)) => return messages::answer(&bytes),
            Ok(Err(source)) => last = Some(Error::from(source)),
            Err(_) => last = Some(Error::new(ErrorKind::Timeout, format!("no answer within {patience:?}"))),
        }
    }
    let error = Error::new(
        ErrorKind::Unreachable,
        format!("no KDC of the realm {realm} answers ({}); check krb5.conf and the network", kdcs.join(", ")),
    )
    .with_status(ErrorStatus::Temporary);
    Err(match last {
        Some(source) => error.with_source(source),
        None => error,
    })
}

async fn exchange(kdc: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(kdc).await?;
    let length = u32::try_from(request.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), request].concat()).await?;
    let length = stream.read_u32().await?;
    if length > MAX_ANSWER {
        return Err(std::io::Error::other("the answer is too long for a KDC's"));
    }
    let mut answer = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut answer).await?;
    if u32::try_from(answer.len()).ok() != Some(length) {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}
