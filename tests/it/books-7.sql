-- What version 7 wrote: the books of version 6, migrated, and after that late records of June and
-- September, and another plan of a customer from August on. Taken from real books.
insert into setting values('late','carry');
insert into setting values('unit','Call');
insert into api_key values(1,'key-live','secret-live','live',1795706531,null,null,null);
insert into api_key values(2,'key-test','secret-test','test',1795706531,null,null,null);
insert into plan_version values(1,'default',0,'Standard','Call','per-unit 0.01',1795706531,
  'shell:ann');
insert into plan_version values(2,'gold',1780272000,'Gold','Call','per-unit 0.5',1795706532,
  'shell:ann');
insert into customer values('cd','default',null,null,null,1795706531,1795706531,null);
insert into project values(1,'d','cd',1795706531,null,null);
insert into project values(2,'a',null,1795706531,null,null);
insert into project values(3,'b',null,1795706531,null,null);
insert into project values(4,'c',null,1795706531,null,null);
insert into customer_plan values(1,'cd','gold',0,1795706531,'shell:ann');
insert into customer_plan values(2,'cd','default',1785542400,1795802042,'shell:root');
insert into project_customer values(1,'d','cd',0,1795706531,'shell:ann');
insert into project_enablement values('d',1795706531,null);
insert into event values(1,1795706531,'shell:ann','cd',null,'announced','planId',null,null);
insert into event values(2,1795706531,'shell:ann','cd','d','enabled','',null,null);
insert into event values(3,1795706531,'shell:ann',null,'a','registered','',null,null);
insert into event values(4,1795706531,'shell:ann',null,'b','registered','',null,null);
insert into event values(5,1795706531,'shell:ann',null,'c','registered','',null,null);
insert into event values(6,1795802042,'shell:root','cd',null,'changed','planId','gold','default');
insert into actor values(1,'shell:ann','0');
insert into usage_ledger values(1,'a6',2,1781092800,'100',null,1795706531,null,0,null,null);
insert into usage_ledger values(2,'b6',3,1781092800,'100',null,1795706531,null,0,null,null);
insert into usage_ledger values(3,'c6',4,1781092800,'100',null,1795706531,null,0,null,null);
insert into usage_ledger values(4,'d6',1,1781092800,'10',null,1795706531,null,0,null,null);
insert into usage_ledger values(5,'a6-late',2,1782820800,'50',null,1795706532,null,0,null,null);
insert into usage_ledger values(6,null,3,1781092800,'-100',null,1795706532,2,1,'mistake',null);
insert into usage_ledger values(7,'a7',2,1783684800,'10',null,1795706532,null,0,null,null);
insert into usage_ledger values(8,'b7',3,1783684800,'40',null,1795706532,null,0,null,null);
insert into usage_ledger values(9,'c7',4,1783684800,'20',null,1795706532,null,0,null,null);
insert into usage_ledger values(10,'c6-late',4,1782820800,'30',null,1795706532,null,0,null,null);
insert into usage_ledger values(11,'a6-later',2,1782820800,'20',null,1795706532,null,1,null,null);
insert into usage_ledger values(12,'c8',4,1786363200,'7',null,1795706532,null,0,null,null);
insert into usage_ledger values(13,'a9',2,1789041600,'5',null,1795706532,null,0,null,null);
insert into usage_ledger values(14,'c7-late',4,1785499200,'3',null,1795706532,null,0,null,null);
insert into usage_ledger values(15,null,2,1789041600,'-5',null,1795706532,13,1,'mistake',null);
insert into usage_ledger values(16,'n1',2,1794312000,'2.5',null,1795717864,null,0,
  'first of its second',null);
insert into usage_ledger values(17,'n2',2,1794312000,'0.5',null,1795717864,null,1,
  'one of a crowd',null);
insert into usage_ledger values(18,'n3',1,1794384000,'3',null,1795717864,null,0,null,null);
insert into usage_ledger values(19,null,2,1794312000,'-0.5',null,1795717864,17,1,'counted twice',
  null);
insert into usage_ledger values(20,'n4',1,1794387600,'4','4',1795717864,null,0,null,null);
insert into usage_ledger values(21,'of-6',2,1794484800,'2',null,1795729705,null,0,null,1);
insert into usage_ledger values(22,null,2,1794484800,'-2',null,1795729705,21,1,'a mistake',1);
insert into usage_ledger values(23,'late-6',3,1786536000,'3',null,1795729705,null,0,null,1);
insert into usage_ledger values(24,'late-of-7',2,1781092800,'3',null,1795802028,null,1,null,1);
insert into usage_ledger values(25,'late-of-7-2',4,1789041600,'2',null,1795802042,null,0,null,1);
insert into usage_rollup values(0,1781092800,1,'10',null,1);
insert into usage_rollup values(0,1781092800,2,'103',null,2);
insert into usage_rollup values(0,1781092800,3,'0',null,0);
insert into usage_rollup values(0,1781092800,4,'100',null,1);
insert into usage_rollup values(0,1782820800,2,'70',null,2);
insert into usage_rollup values(0,1782820800,4,'30',null,1);
insert into usage_rollup values(0,1783684800,2,'10',null,1);
insert into usage_rollup values(0,1783684800,3,'40',null,1);
insert into usage_rollup values(0,1783684800,4,'20',null,1);
insert into usage_rollup values(0,1785499200,4,'3',null,1);
insert into usage_rollup values(0,1786363200,4,'7',null,1);
insert into usage_rollup values(0,1786536000,3,'3',null,1);
insert into usage_rollup values(0,1789041600,2,'0',null,0);
insert into usage_rollup values(0,1789041600,4,'2',null,1);
insert into usage_rollup values(0,1794312000,2,'2.5',null,1);
insert into usage_rollup values(0,1794384000,1,'3',null,1);
insert into usage_rollup values(0,1794387600,1,'4','4',1);
insert into usage_rollup values(0,1794484800,2,'0',null,0);
insert into usage_rollup values(1,1781049600,1,'10',null,1);
insert into usage_rollup values(1,1781049600,2,'103',null,2);
insert into usage_rollup values(1,1781049600,3,'0',null,0);
insert into usage_rollup values(1,1781049600,4,'100',null,1);
insert into usage_rollup values(1,1782777600,2,'70',null,2);
insert into usage_rollup values(1,1782777600,4,'30',null,1);
insert into usage_rollup values(1,1783641600,2,'10',null,1);
insert into usage_rollup values(1,1783641600,3,'40',null,1);
insert into usage_rollup values(1,1783641600,4,'20',null,1);
insert into usage_rollup values(1,1785456000,4,'3',null,1);
insert into usage_rollup values(1,1786320000,4,'7',null,1);
insert into usage_rollup values(1,1786492800,3,'3',null,1);
insert into usage_rollup values(1,1788998400,2,'0',null,0);
insert into usage_rollup values(1,1788998400,4,'2',null,1);
insert into usage_rollup values(1,1794268800,2,'2.5',null,1);
insert into usage_rollup values(1,1794355200,1,'7','4',2);
insert into usage_rollup values(1,1794441600,2,'0',null,0);
insert into usage_rollup values(2,1780272000,1,'10',null,1);
insert into usage_rollup values(2,1780272000,2,'173',null,4);
insert into usage_rollup values(2,1780272000,3,'0',null,0);
insert into usage_rollup values(2,1780272000,4,'130',null,2);
insert into usage_rollup values(2,1782864000,2,'10',null,1);
insert into usage_rollup values(2,1782864000,3,'40',null,1);
insert into usage_rollup values(2,1782864000,4,'23',null,2);
insert into usage_rollup values(2,1785542400,3,'3',null,1);
insert into usage_rollup values(2,1785542400,4,'7',null,1);
insert into usage_rollup values(2,1788220800,2,'0',null,0);
insert into usage_rollup values(2,1788220800,4,'2',null,1);
insert into usage_rollup values(2,1793491200,1,'7','4',2);
insert into usage_rollup values(2,1793491200,2,'2.5',null,1);
insert into usage_rollup values(3,1781092800,2,'3',null,1);
insert into usage_rollup values(3,1781092800,3,'-100',null,-1);
insert into usage_rollup values(3,1782820800,2,'20',null,1);
insert into usage_rollup values(3,1789041600,2,'-5',null,-1);
insert into usage_rollup values(3,1794312000,2,'0',null,0);
insert into usage_rollup values(3,1794484800,2,'-2',null,-1);
insert into license values(1,'lic-5','cd',null,null,1795717864,
  '{"operation":"issue","customerId":"cd","granted":"10","startsAtS":1793491200,"expiresAtS":1924991999}',1793491200,
  1924991999,'10','6',null);
insert into license_ledger values(1,1,1795717864,'issued','10',1924991999,null,'shell:ann',null,
  null);
insert into license_ledger values(2,1,1795717864,'drawn','-4',null,20,null,null,null);
insert into statement values(1,'bill',1780272000,1782863999,1795706532,1795706532,1,4,4,0,0,'3',4,
  x'f794cbdc90ffc22c0bfb4918237e2433b440f8896ba01e4f0e12740e5a2c9f7c');
insert into statement values(2,'usage',1780272000,1782863999,1795706532,1795706532,1,4,4,0,0,
  '310',4,x'adc4e4649561e26d860b3d930ec2f7f11a73c4e4d0461dfb6371838425513cc0');
insert into statement values(3,'bill',1782864001,1785542398,1795706532,1795706532,1,9,9,0,1,'0.8',
  3,x'a1a8a70e157e816fa370220d49ed0e4e681ef453345c8ce6d4942698cb5819e9');
insert into statement values(4,'bill',1780272000,1782863999,1795706532,1795706532,1,11,11,0,0,
  '3.3',3,x'81915a364abc1a420a110abf6f808bf5c5250e5b528873fa63c221baef4fd543');
insert into statement values(5,'bill',1785542400,1788220799,1795706532,1795706532,1,12,12,0,1,
  '5.27',1,x'cffa3910abff872b4706362046f02669263753934b5de370962cfc26692904ac');
insert into statement values(6,'bill',1788220800,1790812799,1795706532,1795706532,1,13,13,0,1,
  '0.05',1,x'04670a03440abd927e79ecad92f0c96763d84e8f4cf7b4eb1f3a5031a5682f0e');
insert into statement values(7,'bill',1785542400,1788220799,1795706532,1795706532,1,13,13,0,0,
  '0.07',1,x'970dd8c50e5faaaefb1f2e4fccc34f4df227a6698bbc1791875c14ba8de42882');
insert into statement values(8,'bill',1793491200,1796083199,1795706532,1795706532,1,15,15,1,0,'0',
  1,x'd6b5915c46057bcb005f46f6433df65609dd3a7a57af75ac1a5a4a7c299ebffb');
insert into statement_entries values(1,
  x'28b52ffd0448ad03004207191fb0271d0c034882126aefcdc86e147a2d96226943a00aae8b5d834825388d01c7d26db13cf7a295a476735ec3b11cf13cdf0755dacd0388d5be8302041c2fe5a4ac708cc621880e0ef13c9f1462095aab34dffc3ccf52530abdb93ecf04b69d502bf92204005f738882e91426e6857288023ec7e7d4');
insert into statement_entries values(2,
  x'28b52ffd04480503003245131ca0a739ff7f567d8fb9726f9358e99184a4291e4b8779002ff5430d0fe31db5e314c03d83f1be4d97b5058848a0525a6066b939afd42cb563407bf2cc72f366b70a7a72bdf902fa20c26aec870500549300904f00ca045031123998010d911d3d');
insert into statement_entries values(3,
  x'28b52ffd0448950500420b26268037cd0133301792d5e7bc11b9ed5dff1d18b424615336182b01fa6ebb73e863e6928d85b40ec8c3574ab1f71a788c403f200e900783e1fb3881eef35f29d4071469b158662674cb649a465b1f3f79d9252cd3f838f9215157ba4489a0cd29522ed304ba0a6880025ba7e9e800dae436b8d340191af4bd25d0272fc3a84c872219e39a8f13742f4fd8c4657dbc5e6e0593b946940e2f0408000a6300100f66b636592cc143689784c14023d9a00199440325');
insert into statement_entries values(4,
  x'28b52ffd04480d040092071a1fa0a739ff7f567db743767377ef336a8fc84e9363f116a1275b396bf2835b23c7d2f1c1746eb59e63f1e6ca082144198ee52a384fefc32af1e60184dacea3880292df325b58484623936407a97a9eceda826e3da534dffc3c1db2d8147bf37d3a13a0ea447bee8b08005fc309f02e40ec67bc06877cc10303f4bc500e67b9b704af');
insert into statement_entries values(5,
  x'28b52ffd0448b50500d28a242580a7cd0133301792b5cf9d88a69750752322114128ac4cc320c0e5b5c5ed38cc447381d301c461adf3cf8fe3684f010aacdd1a5c30c036d90d36355886867daf09362566ef55787e401cd63a1f664609f1403292447d52e8183aebd2fae77c7597d0b3fe1c610104315a264a846d4e91b2d9a282af0ea3421b45b2e9dacf51c157a7b046a67fde576f0594b925cae60b010b00ec5849ba301f700c0cd43498918b3637a2c9e208af40c2bc009305676e30033755dd9b');
insert into statement_entries values(6,
  x'28b52ffd044815040082881d2290b739fffff09deca5901898ad1deba844c4e8d0c498beb0112cb13c26b27f297001c6c43010cea8dfebee264ab20205591676d9f13d2da7e3f8fa3518d3d7d9df81e5bc3e8068fc14b2c7029493d845ee82522c14843c50ebec116a3a6aa4269fbb7eedb167ef38a187afe7b33b42b7e74052f4440200410de940399801b7b8d9da');
insert into statement_entries values(7,
  x'28b52ffd0448e902007b2270726f6a6563744964223a2263222c22616d6f756e74223a22302e3037222c226465736372697074696f6e223a22372043616c6c20c397205374616e646172642028302e3031206561636829222c227573616765223a2237227d0a32ab57f3');
insert into statement_entries values(8,x'28b52ffd240001000099e9d851');
insert into balance values(1780272000,4,12,1,1,
  x'28b52ffd044831010061203120302e3520312e37330a622031202d302e3420300a6320312e330a642030203020350ab1c74e3d');
insert into balance values(1782864000,3,0,0,1,
  x'28b52ffd0448c900006120302e310a6220302e340a6320302e32203020302e32330a1fe7a230');
insert into balance values(1785542400,7,12,0,1,
  x'28b52ffd0448910000622030203020302e30330a6320302e30370ac87de048');
insert into balance values(1788220800,6,12,0,1,
  x'28b52ffd04485900006120302e3035203020300a75742290');
insert into balance values(1793491200,8,12,0,1,
  x'28b52ffd0448b90000612030203020302e3032350a642030203020302e30330a63677043');
insert into usage_month values(1780272000,24);
insert into usage_month values(1782864000,14);
insert into usage_month values(1785542400,23);
insert into usage_month values(1788220800,25);
insert into usage_month values(1793491200,22);
insert into mark values(13,1788220800,4);
update sqlite_sequence set seq = 13 where name = 'mark';
