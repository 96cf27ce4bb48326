//! Resources by the names that callers use, looked up once a configuration.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use paceline::{Error, Limiter, Resource};

use crate::meters::{Meters, ResourceMeters};
use crate::policy::Policy;

/// A resource, and what the server keeps for it.
pub(crate) struct Door {
    pub(crate) resource: Resource,
    pub(crate) meters: Arc<ResourceMeters>,
    pub(crate) policy: Policy,
}

/// Doors by name.
#[derive(Default)]
pub(crate) struct Doors {
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    generation: u64,
    doors: HashMap<String, Arc<Door>>,
}

/// Aliases may stand for any number of names; so many are kept.
const MOST_KEPT: usize = 10_000;

impl Doors {
    /// Finds a resource by its name or an alias.
    pub(crate) fn find(&self, limiter: &Limiter, meters: &Meters, name: &str) -> Result<Arc<Door>, Error> {
        let generation = limiter.generation();
        {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            if table.generation == generation
                && let Some(door) = table.doors.get(name)
            {
                return Ok(Arc::clone(door));
            }
        }
        let resource = limiter.resource(name)?;
        let meters = meters.of_resource(resource.name());
        let door = Arc::new(Door { resource, meters, policy: Policy::default() });
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.generation != generation || table.doors.len() >= MOST_KEPT {
            *table = Table { generation, doors: HashMap::new() };
        }
        table.doors.insert(name.to_owned(), Arc::clone(&door));
        Ok(door)
    }
}
