//! The connector unit: it plans the tasks, and plans again when its outside system changed.

use std::sync::Arc;

use barnabas_connect::{ConnectorContext, ConnectorPlugin, Error, Kind};
use barnabas_protocol::{TaskConfig, TaskPlan};

use super::{Context, source, source_offsets::StoredOffsets};

pub(super) async fn run(context: Context, plugin: &'static dyn ConnectorPlugin) -> Result<(), Error> {
    let mut connector = plugin.connector();
    let mut handed = ConnectorContext::new(context.unit.name.clone());
    if plugin.kind() == Kind::Source {
        handed = handed.with_offsets(Arc::new(StoredOffsets::uncached(&context)));
    }
    let result = async {
        connector.start(handed, (*context.config).clone()).await?;
        plan(&context, connector.as_mut()).await?;
        context.show_target();
        let mut target = context.target.clone();
        let mut fence = context.fence.clone();
        fence.mark_changed();
        loop {
            tokio::select! {
                biased;
                () = context.stop.cancelled() => return Ok(()),
                changed = target.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    context.show_target();
                }
                changed = fence.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let asked = fence.borrow_and_update().clone();
                    if let Some(asked) = asked {
                        tracing::info!(tasks = ?asked.tasks, "Fencing tasks of an earlier plan.");
                        source::fence_off(&context, &asked.tasks).await?;
                        context.status.set_fenced(asked.number);
                        // It may have waited for Kafka, and said so.
                        context.show_target();
                    }
                }
                // Connect stops a paused connector's instance: it plans nothing either.
                changed = connector.changed(), if !context.paused() => {
                    changed?;
                    tracing::info!("The connector asks for new task configurations.");
                    plan(&context, connector.as_mut()).await?;
                }
            }
        }
    }
    .await;
    connector.stop().await;
    result.map_err(|error: Error| match error.reason() {
        // The usual reason of a fatal error speaks of a task.
        "TaskFailed" => error.with_reason("ConnectorFailed"),
        _ => error,
    })
}

async fn plan(context: &Context, connector: &mut dyn barnabas_connect::Connector) -> Result<(), Error> {
    let max = context.unit.tasks_max.max(1);
    let configs = connector.task_configs(max).await?;
    // KIP-1004: `tasks.max.enforce` is true by default.
    let enforce = context.config.get("tasks.max.enforce").is_none_or(|v| !v.trim().eq_ignore_ascii_case("false"));
    if configs.len() > max as usize {
        let message = format!("the connector planned {} tasks, more than its tasks.max of {max}", configs.len());
        if enforce {
            return Err(Error::fatal(message).with_reason("TooManyTasks"));
        }
        tracing::warn!("Allowed because tasks.max.enforce is false: {message}.");
    }
    tracing::info!(tasks = configs.len(), "The connector planned its tasks.");
    let tasks = configs.into_iter().map(|config| TaskConfig { config: config.into_iter().collect() }).collect();
    context.status.set_plan(TaskPlan { config_hash: context.unit.config_hash, tasks });
    Ok(())
}
