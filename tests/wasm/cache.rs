//! The folder of machine code.

use std::fs;
use std::path::PathBuf;

use stepwell_sandbox::Sandbox;

use crate::rig::{guest, limits};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_machine_code_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cwasm");
    let load = async || {
        let sandbox = Sandbox::new(Some(cache.clone()), limits()).unwrap();
        sandbox.load(guest("hostile")).await.unwrap();
        let all = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<PathBuf> = all.filter(|file| file.extension().is_some_and(|is| is == "cwasm")).collect();
        let [file] = &files[..] else { panic!("{files:?}") };
        file.clone()
    };
    let file = load().await;
    let sound = fs::read(&file).unwrap();
    let changed = fs::metadata(&file).unwrap().modified().unwrap();
    load().await;
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), changed, "a sound file is used as it is");
    let middle = sound.len() / 2;
    for damage in [
        sound[..middle].to_vec(),
        Vec::new(),
        b"stepwAOT".to_vec(),
        sound.iter().enumerate().map(|(at, byte)| if at == middle { !byte } else { *byte }).collect(),
    ] {
        fs::write(&file, damage).unwrap();
        assert_eq!(load().await, file);
        assert!(fs::read(&file).unwrap() == sound, "the file is whole again");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_is_ours_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    Sandbox::new(Some(folder.path().to_owned()), limits()).unwrap();
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
}
