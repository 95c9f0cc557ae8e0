//! A disk that is put back to an older copy: the member has forgotten what it promised, and its files look sound.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{PutRequest, StatusRequest};

use super::ward::{Ward, block_on};
use crate::clock::poll;
use crate::member::Setup;
use crate::wire::Wire;

/// The others have met another start of it than it remembers. With one of them there is a majority, but it has no vote there; it
/// heals when all are there.
///
/// covers: D-17, P-M-02, P-M-05, P-KV-03, Q-20
pub(super) fn after_another_start(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    let patient = block_on(ward.follower())?;
    ward.stop(patient)?;
    let copy = Copy::of(ward.data_dir(patient), folder)?;
    ward.start(patient)?;
    ward.work_a_while()?;
    let [away, other] = [(patient + 1) % 3, (patient + 2) % 3];
    ward.kill(patient)?;
    ward.kill(away)?;
    copy.put_back()?;
    // Where there is no leader, it is the start that shows it.
    ward.ends_at_start(patient)?;
    ensure!(
        ward.log(patient)?
            .contains("it comes with its start 2, and does not remember its start 2"),
        "it does not say why"
    );
    ensure!(
        ward.dir(patient).join("suspect").exists(),
        "it is not marked"
    );
    let waiting = ward.launch(patient)?;
    ward.wait_for_line(patient, "there is no leader that a majority confirms")?;
    let health = ward.health(patient)?;
    ensure!(
        health.contains("SUSPECT") && health.contains("put back to an older copy"),
        "its health is {health}"
    );
    ensure!(
        block_on(ward.leader_seen_by(other))? == 0,
        "somebody was elected with its vote"
    );
    ward.start(away)?;
    ward.join(patient, waiting)?;
    ward.end()
}

/// The copy is of the very start that the others have met last: only the leader knows that there was more.
///
/// covers: D-17, P-M-02, P-M-05, P-KV-03, Q-20
pub(super) fn within_a_start(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    let patient = block_on(ward.follower())?;
    ward.freeze(patient)?;
    let copy = Copy::of(ward.data_dir(patient), folder)?;
    ward.thaw(patient)?;
    ward.work_a_while()?;
    ward.kill(patient)?;
    copy.put_back()?;
    ward.ends_at_start(patient)?;
    ensure!(
        ward.log(patient)?
            .contains("of this member, whose log ends at"),
        "it does not say why"
    );
    ensure!(
        ward.dir(patient).join("suspect").exists(),
        "it is not marked"
    );
    ward.start(patient)?;
    ward.end()
}

/// Two members cannot heal each other: the one that was put back says so, and stops each time.
///
/// covers: D-17, P-M-02, P-M-05
pub(super) fn of_two(binary: &Path, folder: &Path) -> Result<()> {
    let setups = Setup::cluster(binary, folder, 2)?;
    let launched: Vec<_> = setups.iter().map(Setup::launch).collect::<Result<_>>()?;
    let members: Vec<_> = launched
        .into_iter()
        .map(|launched| launched.wait())
        .collect::<Result<_>>()?;
    let [stays, patient]: [_; 2] = members.try_into().ok().context("two members")?;
    let setup = patient.setup().clone();
    patient.stop()?;
    let copy = Copy::of(setup.data_dir(), folder)?;
    let again = setup.start()?;
    let put = poll(super::ward::PATIENCE, async || {
        let wire = Wire::connect(&setup.endpoint()).await.ok()?;
        let request = PutRequest {
            key: "a".into(),
            ..PutRequest::default()
        };
        wire.kv().put(request).await.ok()
    });
    block_on(async { put.await.context("no majority of two") })?;
    again.kill()?;
    copy.put_back()?;
    for _ in 0..2 {
        let status = setup.spawn()?.end()?;
        ensure!(!status.success(), "it ended as if nothing was wrong");
        let said = setup.log_tail(8);
        ensure!(said.contains("cannot heal it"), "it says {said}");
    }
    ensure!(
        !setup.data_dir().join("member/suspect").exists(),
        "it waits to be healed"
    );
    stays.kill()
}

/// An older copy of a data directory.
struct Copy {
    dir: PathBuf,
    copy: PathBuf,
}

impl Copy {
    fn of(dir: PathBuf, folder: &Path) -> Result<Copy> {
        let copy = folder.join("copy");
        copy_all(&dir, &copy)?;
        Ok(Copy { dir, copy })
    }

    fn put_back(self) -> Result<()> {
        std::fs::remove_dir_all(&self.dir)?;
        std::fs::rename(&self.copy, &self.dir)?;
        Ok(())
    }
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let (from, to) = (entry?.path(), to.to_owned());
        let to = to.join(from.file_name().context("it has a name")?);
        if from.is_dir() {
            copy_all(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
        }
    }
    Ok(())
}

impl Ward {
    /// Starts a member that stops by itself.
    fn ends_at_start(&self, number: usize) -> Result<()> {
        let status = self.spawn(number)?.end()?;
        ensure!(!status.success(), "it ended as if nothing was wrong");
        Ok(())
    }

    /// Whom a member takes for the leader; 0 for nobody.
    async fn leader_seen_by(&self, number: usize) -> Result<u64> {
        let wire = Wire::connect(&self.endpoint(number)).await?;
        let status = wire.maintenance().status(StatusRequest::default()).await?;
        Ok(status.into_inner().leader)
    }
}
