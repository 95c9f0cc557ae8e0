//! A few members of which a minority is damaged, and the clients that must not notice.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ferrod_proto::etcdserverpb::{
    HashKvRequest, MemberAddRequest, PutRequest, RangeRequest, StatusRequest,
};

use crate::clock::poll;
use crate::member::{Launched, Member, Setup};
use crate::members::load::{Endpoints, Load};
use crate::wire::Wire;

/// How long anything may take that ends by itself; far more than it needs.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Writes that must get through before anything goes on.
const PROGRESS: u64 = 300;
/// What is damaged in the backend: values that begin so.
const MARKED: &str = "a value that is going to be damaged ";
const MARKED_KEYS: usize = 50;

/// A small cluster with clients at work.
pub(super) struct Ward {
    setups: Vec<Setup>,
    members: Vec<Option<Member>>,
    endpoints: Endpoints,
    /// Where the clients are at work, for as long as the sender lives.
    workplace: tokio::runtime::Handle,
    _open: tokio::sync::oneshot::Sender<()>,
    load: Option<Load>,
}

/// Runs what talks to members.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

impl Ward {
    /// Three members that have taken some writes, and clients that go on with it.
    pub(super) fn begin(binary: &Path, folder: &Path) -> Result<Ward> {
        Ward::of(3, binary, folder)
    }

    /// The same with so many members.
    pub(super) fn of(count: usize, binary: &Path, folder: &Path) -> Result<Ward> {
        let setups = Setup::cluster(binary, folder, count)?;
        let launched: Vec<_> = setups.iter().map(Setup::launch).collect::<Result<_>>()?;
        let members = launched
            .into_iter()
            .map(|launched| launched.wait().map(Some));
        let endpoints: Endpoints = Arc::new(Mutex::new(Vec::new()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let workplace = runtime.handle().clone();
        let (open, closed) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || runtime.block_on(closed));
        let mut ward = Ward {
            members: members.collect::<Result<_>>()?,
            setups,
            endpoints,
            workplace,
            _open: open,
            load: None,
        };
        ward.follow();
        block_on(ward.put_marked())?;
        {
            let _at_work = ward.workplace.enter();
            ward.load = Some(Load::start(ward.endpoints.clone(), 4));
        }
        ward.work_a_while()?;
        Ok(ward)
    }

    /// Clients go where somebody is.
    fn follow(&self) {
        let alive = self.members.iter().flatten();
        let endpoints = alive.map(|member| member.setup().endpoint());
        *self.endpoints.lock().expect("nobody panics") = endpoints.collect();
    }

    /// Adds a learner that never comes: whoever leads keeps its log for it.
    pub(super) fn keep_logs(&self) -> Result<()> {
        block_on(add_absent_learner(&self.setups[0]))
    }

    /// Writes until the log of whoever leads has so many segments; returns who does.
    pub(super) fn fill_segments(&self, count: usize) -> Result<usize> {
        block_on(async {
            loop {
                let leader = self.leader().await?;
                if used_segments(&self.dir(leader).join("wal"))?.len() >= count {
                    return Ok(leader);
                }
                put_bulk(&self.setups[leader]).await?;
            }
        })
    }

    async fn put_marked(&self) -> Result<()> {
        let wire = Wire::connect(&self.setups[0].endpoint()).await?;
        for number in 0..MARKED_KEYS {
            let request = PutRequest {
                key: format!("marked/{number:04}").into(),
                value: format!("{MARKED}{number:04}").into(),
                ..PutRequest::default()
            };
            wire.kv().put(request).await?;
        }
        Ok(())
    }

    /// Waits until clients have got on.
    pub(super) fn work_a_while(&self) -> Result<()> {
        let load = self.load.as_ref().context("clients are at work")?;
        let before = load.acknowledged();
        let going = poll(PATIENCE, async || {
            (load.acknowledged() >= before + PROGRESS).then_some(())
        });
        block_on(async { going.await.context("writes do not go on") })
    }

    /// Ends the work of the clients, and checks what they wrote.
    pub(super) fn quiet(&mut self) -> Result<()> {
        let load = self.load.take().context("clients are at work")?;
        let written = block_on(load.finish())?;
        for setup in &self.setups {
            block_on(async {
                written
                    .verify(&Wire::connect(&setup.endpoint()).await?)
                    .await
            })
            .with_context(|| format!("at {}", setup.place().name))?;
        }
        Ok(())
    }

    /// All members are there, trusted, and hold the same, with everything that was acknowledged.
    pub(super) fn end(mut self) -> Result<()> {
        let all_there = self.members.iter().all(Option::is_some);
        let alive: Vec<_> = self
            .members
            .iter()
            .flatten()
            .map(|m| m.setup().clone())
            .collect();
        if self.load.is_some() {
            self.work_a_while()?;
            let load = self.load.take().context("clients are at work")?;
            let written = block_on(load.finish())?;
            for setup in &alive {
                block_on(async {
                    written
                        .verify(&Wire::connect(&setup.endpoint()).await?)
                        .await
                })
                .with_context(|| format!("at {}", setup.place().name))?;
            }
        }
        block_on(same_hash(&alive))?;
        for setup in &alive {
            let mark = setup.data_dir().join("member/suspect");
            ensure!(!mark.exists(), "{} is there", mark.display());
        }
        if all_there {
            self.heal_counts(&alive)?;
        }
        Ok(())
    }

    /// A healed member counts again: each belongs to a majority that can do without none of its members.
    fn heal_counts(&mut self, setups: &[Setup]) -> Result<()> {
        let (count, minority) = (setups.len(), (setups.len() - 1) / 2);
        for out in (0..count).step_by(minority) {
            let missing: Vec<usize> = (out..out + minority).map(|n| n % count).collect();
            missing.iter().try_for_each(|number| self.kill(*number))?;
            let there = &setups[(out + minority) % count];
            let put = async {
                poll(PATIENCE, async || {
                    let wire = Wire::connect(&there.endpoint()).await.ok()?;
                    let request = PutRequest {
                        key: format!("without {out}").into(),
                        ..PutRequest::default()
                    };
                    wire.kv().put(request).await.ok()
                })
                .await
                .with_context(|| format!("no majority without {out}"))
            };
            block_on(put)?;
            missing.iter().try_for_each(|number| self.start(*number))?;
        }
        block_on(same_hash(setups))
    }

    /// Which member leads.
    pub(super) async fn leader(&self) -> Result<usize> {
        let found = poll(PATIENCE, async || {
            for (number, setup) in self.setups.iter().enumerate() {
                let wire = Wire::connect(&setup.endpoint()).await.ok()?;
                let status = wire.maintenance().status(StatusRequest::default()).await;
                let status = status.ok()?.into_inner();
                if status.header.is_some_and(|h| h.member_id == status.leader) {
                    return Some(number);
                }
            }
            None
        });
        found.await.context("nobody leads")
    }

    /// One that does not lead.
    pub(super) async fn follower(&self) -> Result<usize> {
        Ok((self.leader().await? + 1) % self.setups.len())
    }

    /// The directory in which a member keeps its log and its backend.
    pub(super) fn dir(&self, number: usize) -> PathBuf {
        self.data_dir(number).join("member")
    }

    pub(super) fn data_dir(&self, number: usize) -> PathBuf {
        self.setups[number].data_dir()
    }

    /// The file of the backend that is in use.
    pub(super) fn data_file(&self, number: usize) -> Result<PathBuf> {
        let mut generations = files(&self.dir(number).join("db"), "")?;
        let last = generations.pop().context("no generation")?;
        Ok(last.join("data.mdb"))
    }

    /// Everything that a member has said.
    pub(super) fn log(&self, number: usize) -> Result<String> {
        Ok(std::fs::read_to_string(self.setups[number].log_path())?)
    }

    fn take(&mut self, number: usize) -> Result<Member> {
        let member = self.members[number].take().context("it is dead")?;
        self.follow();
        Ok(member)
    }

    pub(super) fn kill(&mut self, number: usize) -> Result<()> {
        self.take(number)?.kill()
    }

    pub(super) fn kill_all(&mut self) -> Result<()> {
        (0..self.setups.len()).try_for_each(|number| self.kill(number))
    }

    /// Stops a member in good order: everything is in its backend then.
    pub(super) fn stop(&mut self, number: usize) -> Result<()> {
        self.take(number)?.stop()?;
        Ok(())
    }

    /// Stops the clock of a member, as whoever copies a virtual machine does.
    pub(super) fn freeze(&self, number: usize) -> Result<()> {
        self.running(number)?.freeze()
    }

    pub(super) fn thaw(&self, number: usize) -> Result<()> {
        self.running(number)?.thaw()
    }

    fn running(&self, number: usize) -> Result<&Member> {
        self.members[number].as_ref().context("it is dead")
    }

    /// Waits until a member that must stop has stopped.
    pub(super) fn ends(&mut self, number: usize) -> Result<()> {
        let status = self.take(number)?.end()?;
        ensure!(!status.success(), "it ended as if nothing was wrong");
        Ok(())
    }

    pub(super) fn restart(&mut self, number: usize) -> Result<()> {
        self.stop(number)?;
        self.start(number)
    }

    /// Starts a member and waits until it serves: a damaged one when it is healed.
    pub(super) fn start(&mut self, number: usize) -> Result<()> {
        let launched = self.launch(number)?;
        self.join(number, launched)
    }

    /// Starts a member that is not going to serve.
    pub(super) fn spawn(&self, number: usize) -> Result<Member> {
        self.setups[number].spawn()
    }

    pub(super) fn endpoint(&self, number: usize) -> String {
        self.setups[number].endpoint()
    }

    pub(super) fn launch(&self, number: usize) -> Result<Launched> {
        self.setups[number].launch()
    }

    /// Waits until a member that was launched serves.
    pub(super) fn join(&mut self, number: usize, launched: Launched) -> Result<()> {
        self.members[number] = Some(launched.wait()?);
        self.follow();
        Ok(())
    }

    /// Waits until a member has said this, in any of its runs.
    pub(super) fn wait_for_line(&self, number: usize, words: &str) -> Result<()> {
        let said = poll(PATIENCE, async || {
            self.log(number).ok()?.contains(words).then_some(())
        });
        block_on(async {
            said.await
                .with_context(|| format!("it never said {words:?}"))
        })
    }

    /// Waits until a member has begun a log.
    pub(super) fn wait_for_log(&self, number: usize) -> Result<()> {
        let wal = self.dir(number).join("wal");
        let begun = poll(PATIENCE, async || {
            let segments = files(&wal, ".wal").ok()?;
            (!segments.is_empty()).then_some(())
        });
        block_on(async { begun.await.context("it begins no log") })
    }

    /// Starts a member with one more flag, which must end it; returns what it said.
    pub(super) fn refuses(&self, number: usize, flag: &str) -> Result<String> {
        let setup = self.setups[number].clone().flag(flag);
        let status = setup.spawn()?.end()?;
        ensure!(!status.success(), "it ended with {status}");
        Ok(setup.log_tail(20))
    }

    /// What a member answers to whoever asks for its health.
    pub(super) fn health(&self, number: usize) -> Result<String> {
        use std::io::Read as _;
        let place = self.setups[number].place();
        let mut stream = std::net::TcpStream::connect((place.host.as_str(), place.client_port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Reads the damaged keys of one member until it notices. A value that was never written must not come.
    pub(super) async fn read_until_refused(&self, number: usize) -> Result<()> {
        let wire = Wire::connect(&self.setups[number].endpoint()).await?;
        for key in 0..MARKED_KEYS {
            let request = RangeRequest {
                key: format!("marked/{key:04}").into(),
                serializable: true,
                ..RangeRequest::default()
            };
            let Ok(answer) = wire.kv().range(request).await else {
                return Ok(());
            };
            let kvs = answer.into_inner().kvs;
            let value = kvs.first().map(|kv| kv.value.to_vec());
            let written = format!("{MARKED}{key:04}").into_bytes();
            ensure!(value == Some(written), "key {key} has {value:?}");
        }
        bail!("damaged rows were served")
    }
}

async fn same_hash(setups: &[Setup]) -> Result<()> {
    let same = poll(PATIENCE, async || {
        let mut hashes = Vec::new();
        for setup in setups {
            let wire = Wire::connect(&setup.endpoint()).await.ok()?;
            let hash = wire.maintenance().hash_kv(HashKvRequest::default()).await;
            let hash = hash.ok()?.into_inner();
            hashes.push((hash.hash, hash.hash_revision));
        }
        hashes.dedup();
        (hashes.len() == 1).then_some(())
    });
    same.await.context("the members hold different data")
}

/// What is in a directory, sorted, with names that end so.
pub(super) fn files(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    Ok(paths)
}

/// The segments of a log that something was written to, in their order.
pub(crate) fn used_segments(wal: &Path) -> Result<Vec<PathBuf>> {
    let mut segments = files(wal, ".wal")?;
    // A prepared one begins with zeros.
    segments.retain(|path| head(path).is_ok_and(|head| head == *b"FERRODWL"));
    Ok(segments)
}

fn head(path: &Path) -> std::io::Result<[u8; 8]> {
    use std::io::Read as _;
    let mut head = [0; 8];
    std::fs::File::open(path)?.read_exact(&mut head)?;
    Ok(head)
}

/// Adds a learner that nobody starts.
pub(crate) async fn add_absent_learner(setup: &Setup) -> Result<()> {
    let wire = Wire::connect(&setup.endpoint()).await?;
    let request = MemberAddRequest {
        peer_ur_ls: vec!["http://127.0.0.1:1".to_owned()],
        is_learner: true,
    };
    let added = poll(PATIENCE, async || {
        wire.cluster().member_add(request.clone()).await.ok()
    });
    added.await.context("no learner can be added")?;
    Ok(())
}

/// Writes some megabytes over and over the same keys.
pub(crate) async fn put_bulk(setup: &Setup) -> Result<()> {
    let wire = Wire::connect(&setup.endpoint()).await?;
    for number in 0..16 {
        let request = PutRequest {
            key: format!("bulk/{number}").into(),
            value: vec![b'b'; 1 << 20].into(),
            ..PutRequest::default()
        };
        wire.kv().put(request).await?;
    }
    Ok(())
}

/// Lets two files have each other's names.
pub(crate) fn swap(one: &Path, other: &Path) -> Result<()> {
    let aside = one.with_extension("aside");
    std::fs::rename(one, &aside)?;
    std::fs::rename(other, one)?;
    std::fs::rename(&aside, other)?;
    Ok(())
}

/// Flips a bit well before the end of what was written to a file, in place: somebody is writing to it.
pub(super) fn rot(path: &Path) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    let bytes = std::fs::read(path)?;
    let used = bytes.iter().rposition(|byte| *byte != 0);
    let place = used.context("the file is not empty")? / 3;
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&[bytes[place] ^ 0x04], place as u64)?;
    file.sync_all()?;
    Ok(())
}

/// Flips a bit in the middle of what was written to a file.
pub(super) fn flip_in_the_middle(path: &Path) -> Result<()> {
    let mut bytes = std::fs::read(path)?;
    let used = bytes.iter().rposition(|byte| *byte != 0);
    bytes[used.context("the file is not empty")? / 2] ^= 0x10;
    std::fs::write(path, bytes)?;
    Ok(())
}

/// Flips a bit in each of the marked values, in place: somebody may have mapped the file.
pub(super) fn flip_values(path: &Path) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    let bytes = std::fs::read(path)?;
    let marked = MARKED.as_bytes();
    let found = bytes.windows(marked.len()).enumerate();
    let found = found.filter(|(_, window)| *window == marked);
    let places: Vec<usize> = found.map(|(place, _)| place).collect();
    ensure!(
        !places.is_empty(),
        "no marked value is in {}",
        path.display()
    );
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    for place in places {
        file.write_all_at(&[bytes[place] ^ 0x10], place as u64)?;
    }
    file.flush()?;
    Ok(())
}
