//! All that is generated, as one tree of modules, without a lint.

#![deny(missing_docs, clippy::all)]

#[allow(deprecated, reason = "what is deprecated there is generated all the same")]
pub mod proto {
    //! The packages.

    dora::include_protos!();
}

use dora::{Request, Response, Status};
use prost::Message;
use proto::nested::Basket;
use proto::nested::baskets_client::BasketsClient;
use proto::nested::baskets_server::{Baskets, BasketsServer};
use proto::nested::nested::Owner;
use proto::nested::r#type::v1::{Item, item::Size};

struct Shop;

impl Baskets for Shop {
    async fn fill(&self, request: Request<Item>) -> Result<Response<Basket>, Status> {
        let items = vec![request.into_body()];
        Ok(Basket { items, size: Size::Large.into() }.into())
    }
}

#[tokio::test]
async fn nested_packages_need_no_nest_by_hand() {
    let baskets = BasketsClient::new(BasketsServer::new(Shop));
    let item = Item { name: "pen".into(), owner: Some(Owner { name: "Ada".into() }) };
    let basket = baskets.fill(item.clone()).await.unwrap();
    assert_eq!(basket, Basket { items: vec![item], size: 1 });
}

#[test]
fn the_descriptors_are_there_to_include() {
    let set = dora::include_file_descriptor_set!("nested.bin");
    let set = prost_types::FileDescriptorSet::decode(set).unwrap();
    let names: Vec<&str> = set.file.iter().map(|file| file.name()).collect();
    assert!(names.contains(&"nested/nested.proto"), "{names:?}");
}
