//! HTTP, as far as the doors that speak it have it in common: the connection, the bodies,
//! whose page a browser calls for, and who has a request where they share a port.

pub(crate) mod body;
pub(crate) mod head;
pub(crate) mod page;
mod serve;
pub(crate) mod site;
