//! The traits for those who hold several of different types. A box for each round trip to
//! a registry, none for calls.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tower::BoxError;

use super::discover::{Discover, Listing};
use super::record::InstanceRecord;
use super::register::{Register, Standing};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub(super) trait ErasedDiscover: Send {
    fn next(&mut self) -> BoxFuture<'_, Result<Listing, BoxError>>;
    fn name(&self) -> String;
}

impl<D: Discover> ErasedDiscover for D {
    fn next(&mut self) -> BoxFuture<'_, Result<Listing, BoxError>> {
        Box::pin(Discover::next(self))
    }

    fn name(&self) -> String {
        Discover::name(self)
    }
}

pub(super) trait ErasedRegister: Send {
    fn announce<'a>(&'a mut self, record: &'a InstanceRecord) -> BoxFuture<'a, Result<Standing, BoxError>>;
    fn withdraw<'a>(&'a mut self, record: &'a InstanceRecord) -> BoxFuture<'a, Result<(), BoxError>>;
    fn lease(&self) -> Duration;
    fn lost(&mut self) -> BoxFuture<'_, ()>;
    fn name(&self) -> String;
}

impl<R: Register> ErasedRegister for R {
    fn announce<'a>(&'a mut self, record: &'a InstanceRecord) -> BoxFuture<'a, Result<Standing, BoxError>> {
        Box::pin(Register::announce(self, record))
    }

    fn withdraw<'a>(&'a mut self, record: &'a InstanceRecord) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(Register::withdraw(self, record))
    }

    fn lease(&self) -> Duration {
        Register::lease(self)
    }

    fn lost(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(Register::lost(self))
    }

    fn name(&self) -> String {
        Register::name(self)
    }
}
