//! A gRPC service, in the shape that `tonic-prost-build` would generate for
//!
//! ```proto
//! package shop;
//! service Orders { rpc Place (google.protobuf.StringValue) returns (google.protobuf.StringValue); }
//! ```
//!
//! By hand, so that building the recipes needs no `protoc`.

use axum::http;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// The path of the method.
pub const PLACE: &str = "/shop.Orders/Place";

/// What a server implements.
pub trait Orders: Send + Sync + 'static {
    /// Orders an item.
    fn place(
        &self,
        request: Request<String>,
    ) -> impl Future<Output = Result<Response<String>, Status>> + Send;
}

/// The service of an implementation.
pub struct OrdersServer<T>(Arc<T>);

impl<T: Orders> OrdersServer<T> {
    /// Serves these orders.
    pub fn new(orders: T) -> Self {
        Self(Arc::new(orders))
    }
}

impl<T> Clone for OrdersServer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> NamedService for OrdersServer<T> {
    const NAME: &'static str = "shop.Orders";
}

impl<T: Orders> tower::Service<http::Request<Body>> for OrdersServer<T> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PLACE {
            let unknown: Ready<_> = ready(Ok(Status::unimplemented("no such method").into_http()));
            return Box::pin(unknown);
        }
        let orders = self.0.clone();
        let place = tower::service_fn(move |request| {
            let orders = orders.clone();
            async move { orders.place(request).await }
        });
        let mut grpc = Grpc::new(ProstCodec::default());
        Box::pin(async move { Ok(grpc.unary(place, request).await) })
    }
}
