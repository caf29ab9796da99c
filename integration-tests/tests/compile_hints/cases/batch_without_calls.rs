//~ a batch without calls is not sent
//~ add calls of any types by `.call(client.method(request))`
//~ begin with `.list()`
async fn calls(channel: dora::Channel) -> Result<(), dora::Status> {
    let () = channel.batch().send().await?;
    Ok(())
}

fn main() {
    drop(calls);
}
