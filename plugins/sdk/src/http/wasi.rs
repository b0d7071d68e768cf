//! Sends a request through `wasi:http`.

use super::{Request, Response, SendError};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

/// What one write to a WASI stream may carry.
const WRITE_BYTES_MAX: usize = 4096;
/// What one read may bring.
const READ_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn send(request: &Request) -> Result<Response, SendError> {
    let outgoing = outgoing(request)?;
    let body = outgoing.body().map_err(|()| SendError::Refused("has no body to write to".to_owned()))?;
    let answer = outgoing_handler::handle(outgoing, None).map_err(failed)?;
    if let Some(bytes) = &request.body {
        // A failure to write shows again, with its reason, where the answer is awaited.
        if let Ok(stream) = body.write() {
            let _ = bytes.chunks(WRITE_BYTES_MAX).try_for_each(|chunk| stream.blocking_write_and_flush(chunk));
        }
    }
    let finished = OutgoingBody::finish(body, None);
    answer.subscribe().block();
    let response = match answer.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(failed(code)),
        Some(Err(())) | None => return Err(SendError::Lost("the answer was taken twice".to_owned())),
    };
    // An early answer may come before the body is all read, and is an answer all the same.
    drop(finished);
    receive(&response)
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, SendError> {
    let refused = |what: &str| SendError::Refused(format!("{what} cannot be sent"));
    let headers: Vec<(String, Vec<u8>)> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let fields = Fields::from_list(&headers).map_err(|error| SendError::Refused(format!("headers: {error}")))?;
    let outgoing = OutgoingRequest::new(fields);
    outgoing.set_method(&method(&request.method)).map_err(|()| refused("the method"))?;
    outgoing.set_scheme(Some(&Scheme::Http)).map_err(|()| refused("the scheme"))?;
    let authority = format!("{}.connection", request.connection);
    outgoing.set_authority(Some(&authority)).map_err(|()| refused("the connection's name"))?;
    outgoing.set_path_with_query(Some(&request.path)).map_err(|()| refused("the path"))?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn receive(response: &IncomingResponse) -> Result<Response, SendError> {
    let mut headers = response.headers().entries();
    for (name, _) in &mut headers {
        name.make_ascii_lowercase();
    }
    let lost = |what: &str| SendError::Lost(format!("the answer broke off: {what}"));
    let incoming = response.consume().map_err(|()| lost("no body"))?;
    let mut body = Vec::new();
    {
        let stream = incoming.stream().map_err(|()| lost("no stream"))?;
        loop {
            match stream.blocking_read(READ_BYTES_MAX) {
                Ok(bytes) => body.extend_from_slice(&bytes),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => return Err(lost(&error.to_debug_string())),
            }
        }
    }
    drop(IncomingBody::finish(incoming));
    Ok(Response { status: response.status(), headers, body })
}

/// Whether anything can have happened on the other side.
fn failed(code: ErrorCode) -> SendError {
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            SendError::Refused("NOT_GRANTED: this plugin has no grant for such a request".to_owned())
        }
        ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_) => SendError::Refused(code.to_string()),
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionLimitReached
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_) => SendError::NotSent(code.to_string()),
        _ => SendError::Lost(code.to_string()),
    }
}
