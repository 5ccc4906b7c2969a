import { mkdirSync, writeFileSync, existsSync, readdirSync, lstatSync, rmSync, appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { FileWatcher } from '#aiwgd/sources/watch/file-watcher.js';
const log = { debug() {}, info() {}, warn() {}, error() {} };
const root=process.env.ROOT||'/tmp/w/hundred';
if(!existsSync(root)){
 for(let p=0;p<1200;p++){ // node_modules: 20k dirs 86k files
  for(let d=0;d<16;d++){ const dir=`${root}/node_modules/p${p}/l${d%4}/s${d}`; mkdirSync(dir,{recursive:true}); for(let f=0;f<4+(d%3);f++) writeFileSync(`${dir}/f${f}.js`,'x');}
 }
 for(let d=0;d<1400;d++){const dir=`${root}/src/m${d%100}/x${d}`;mkdirSync(dir,{recursive:true});for(let f=0;f<7;f++)writeFileSync(`${dir}/f${f}.ts`,'x');}
 mkdirSync(root+'/.git/info',{recursive:true});
 writeFileSync(root+'/.gitignore','dist/\n*.log\n.env\ncoverage\n/build\n*.tmp\n.cache/\n.DS_Store\n*.swp\nout/\n');
}
function plain(dir, skip){let n=0;for(const e of readdirSync(dir,{withFileTypes:true})){if(skip&&e.name==='node_modules')continue;const p=dir+'/'+e.name;if(e.isDirectory())n+=plain(p,skip);else{lstatSync(p);n++;}}return n;}
const mode=process.argv[2]; const fresh=process.argv[3]!=='again';
const r=mode==='nm'?root+'/node_modules':root;
for(let i=0;i<3;i++){
 let b=performance.now();const n=plain(root,mode!=='all');const walk=performance.now()-b;
 const dbp='/tmp/w/hundred.db';
 if(fresh||i===0)for(const s of['','-wal','-shm'])rmSync(dbp+s,{force:true});
 b=performance.now();
 let lag=0,last=performance.now();const iv=setInterval(()=>{const t=performance.now();lag=Math.max(lag,t-last-1);last=t},1);
 const db=new StateDatabase({path:dbp,clock:systemClock,log});const dbt=performance.now()-b;
 let ev=0,at=0;
 const w=new FileWatcher({root,config:{enabled:true,paths:[{path:'.',events:['create','modify','delete'],ignore:[],extensions:[]}],ignore:mode==='all'?[]:[],debounce_ms:1,use_polling:false,catch_up:true,respect_gitignore:true},db,clock:systemClock,log,publish:(e)=>{ev++;at=performance.now();return e},onFault:(c,e)=>console.log(c,e?.message)});
 await w.start(); const ready=performance.now()-b;
 const lagReady=lag;
 while(db.all('select since from watched_paths').some(x=>x.since!==null)) await new Promise(r=>setTimeout(r,5));
 const saved=performance.now()-b; clearInterval(iv);
 const st=w.status();
 global.gc?.();
 console.log({dbt,n,walk:walk|0,ready:ready|0,ratio:(ready/walk).toFixed(2),saved:saved|0,lagReady:lagReady|0,lag:lag|0,rss:process.memoryUsage().rss>>20,heap:process.memoryUsage().heapUsed>>20,files:st.files,dirs:st.directories,ev});
 const lat=[];
 for(let k=0;k<200;k++){ at=0;const t=performance.now();appendFileSync(root+`/src/m${k%100}/x${k}/f0.ts`,'y');while(at===0)await new Promise(r=>setImmediate(r));lat.push(at-t-1);await new Promise(r=>setTimeout(r,2));}
 lat.sort((a,b)=>a-b);console.log('latency over debounce p50',lat[100].toFixed(2),'p99',lat[198].toFixed(2));
 await w.close();db.close();
}
