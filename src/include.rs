//! Macros that bring in what `dora_codegen` generated.

/// Includes all that `dora_codegen` generated for this package, as a tree of
/// modules: the proto package `shop.v1` is the module `shop::v1`.
///
/// ```text
/// mod proto {
///     dora::include_protos!();
/// }
/// use proto::shop::v1::Order;
/// ```
#[macro_export]
macro_rules! include_protos {
    () => {
        include!(concat!(env!("OUT_DIR"), "/dora-protos.rs"));
    };
}

/// Includes the code that `dora_codegen` generated for one package of a
/// `.proto`, called as the `.proto` calls it (`"_"` if it has no `package`).
///
/// ```text
/// mod users {
///     dora::include_proto!("users.v1");
/// }
/// ```
///
/// Types of another package are found as `super::`; if there are any,
/// [`include_protos!`](crate::include_protos) puts all in their places.
#[macro_export]
macro_rules! include_proto {
    ($package:tt) => {
        include!(concat!(env!("OUT_DIR"), "/", $package, ".rs"));
    };
}

/// The `FileDescriptorSet` that `Config::file_descriptor_set` of `dora_codegen`
/// wrote under this name, as a `&'static [u8]`: for reflection.
///
/// ```text
/// const SHOP: &[u8] = dora::include_file_descriptor_set!("shop.bin");
/// ```
#[macro_export]
macro_rules! include_file_descriptor_set {
    ($name:tt) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name)).as_slice()
    };
}
