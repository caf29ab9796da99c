//~ calls cannot be made through `Endpoint`
//~ `.connect().await?` or `.connect_lazy()?`
use compile_hints::UsersClient;

fn main() -> Result<(), dora::Status> {
    let _ = UsersClient::new(dora::Endpoint::new("127.0.0.1:9567")?);
    Ok(())
}
